"""The releases of a store: which lock of a target is released, and which ones were before.

Below `home`:

    releases/elt@3.11/000007/   one release: release.json and its launchers, never changed
    current/elt@3.11            a link to the newest one's directory

The link is the pointer. A release is written whole beside the others, and becomes the current one
when the link is switched to it, in one rename. The history are the directories up to that one; a
directory with a higher number is of a move that was interrupted, and the next one takes its place.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.model.release import Release, release_before
from elt_env.tools.files import remove_tree, sync_directory, write_atomically, writing
from elt_env.tools.launchers import write_launchers
from elt_env.tools.one_at_a_time import one_at_a_time

_FILE = "release.json"
_WAIT = "Wait for it or end it, then run the same command; or raise busy-limit."
_NUMBER = re.compile(r"[0-9]{6,}")
_release: TypeAdapter[Release] = TypeAdapter(Release)


class ReleaseStore:
    """The releases below a store's `home`; targets go by their names, as in `elt@3.11`."""

    def __init__(self, home: Path) -> None:
        self.home = home

    def entry_points(self, name: str) -> Path:
        """Return the directory in which the released programs are, at every moment."""
        return self._pointer(name) / "bin"

    def current(self, name: str) -> Release | None:
        """Return the target's release; None before the first.

        Raises:
            IntegrityError: its record cannot be read.
        """
        number = self._current_number(name)
        return self._read(name, number) if number else None

    def previous(self, name: str) -> Release | None:
        """Return the newest release whose lock is not the current one's; None without.

        Raises:
            IntegrityError: a record cannot be read.
        """
        history = self.history(name)
        return release_before(history) if history else None

    def history(self, name: str) -> tuple[Release, ...]:
        """Return every release of the target, the oldest first and the current one last.

        Raises:
            IntegrityError: a record cannot be read.
        """
        last = self._current_number(name)
        return tuple(self._read(name, each) for each in self._numbers(name) if each <= last)

    def targets(self) -> tuple[str, ...]:
        """Return the names of the targets that have releases, or a pointer to one, sorted."""
        found: set[str] = set()
        for part in ("releases", "current"):
            with contextlib.suppress(FileNotFoundError):
                found |= {each.name for each in (self.home / part).iterdir()}
        return tuple(sorted(each for each in found if not each.startswith(".")))

    @contextlib.contextmanager
    def sole_mover(self, name: str, limit: float) -> Iterator[None]:
        """Let one process at a time move the target's release; the others wait.

        Raises:
            BusyError: another one is still at it after `limit` seconds.
            StorageError: the store is not writable.
        """
        path = self.home / "releases" / f".{name}.lock"
        with one_at_a_time(path, limit, f"moving the release of {name}", _WAIT):
            yield

    def prepare(self, release: Release, prefix: Path) -> None:
        """Write a release with launchers for a prefix; it is not the current one yet.

        To be called by the sole mover, for the number after the current one's.

        Raises:
            StorageError: the disk is full or not writable.
            IntegrityError: there are releases after the current one.
        """
        place = self._directory(release.target, release.number)
        if max(self._numbers(release.target), default=0) > release.number:
            raise self._misled(release.target, "was set to an older one by hand")
        new = place.with_name(f".new-{place.name}")
        remove_tree(new)
        remove_tree(place)
        with writing(place):
            new.mkdir(parents=True)
            write_launchers(new, place, prefix, release.target, release.digest)
            write_atomically(new / _FILE, _release.dump_json(release, indent=1) + b"\n")
            sync_directory(new / "bin")
            new.replace(place)
            sync_directory(place.parent)

    def switch(self, release: Release) -> None:
        """Make a prepared release the current one, in one rename.

        Raises:
            StorageError: the disk is full or not writable; the one before still is.
        """
        pointer = self._pointer(release.target)
        place = self._directory(release.target, release.number)
        link = pointer.with_name(f".{pointer.name}")
        with writing(pointer):
            pointer.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(os.path.relpath(place, pointer.parent))
            link.replace(pointer)
            sync_directory(pointer.parent)

    def _pointer(self, name: str) -> Path:
        return self.home / "current" / name

    def _directory(self, name: str, number: int) -> Path:
        return self.home / "releases" / name / f"{number:06}"

    def _current_number(self, name: str) -> int:
        """Return the number that the pointer names; 0 before the first release."""
        pointer = self._pointer(name)
        try:
            place = pointer.readlink()
        except FileNotFoundError:
            if max(self._numbers(name), default=0) > 1:
                raise self._misled(name, "is gone") from None
            return 0
        except OSError as error:
            raise self._misled(name, "is no link to a release") from error
        if place.parent.name != name or not _NUMBER.fullmatch(place.name):
            raise self._misled(name, f"leads to {place}, which is no release of {name}")
        return int(place.name)

    def _numbers(self, name: str) -> list[int]:
        with contextlib.suppress(FileNotFoundError):
            names = [each.name for each in (self.home / "releases" / name).iterdir()]
            return sorted(int(each) for each in names if _NUMBER.fullmatch(each))
        return []

    def _read(self, name: str, number: int) -> Release:
        path = self._directory(name, number) / _FILE
        try:
            return _release.validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            raise IntegrityError(
                f"The release {path} cannot be read.",
                "Restore it from a backup. Without one, move its directory away; if it is the "
                f"current one, lead {self._pointer(name)} to another first.",
            ) from error

    def _misled(self, name: str, what: str) -> IntegrityError:
        newest = max(self._numbers(name), default=0)
        pointer = self._pointer(name)
        where = os.path.relpath(self._directory(name, newest), pointer.parent)
        return IntegrityError(
            f"{pointer}, which leads to the release of {name}, {what}; the newest one is {newest}.",
            f"Lead it there: ln -sfn {where} {pointer}",
        )
