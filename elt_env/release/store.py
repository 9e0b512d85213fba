"""The releases of a store: which lock of a target is released, and which ones were before.

Below `home`:

    releases/elt@3.11/000007/   one release: release.json and its launchers, never changed
    releases/.records/elt@3.11/000007.json   its record, once it was the current one
    current/elt@3.11            a link to the newest one's directory

The link is the pointer. A release is written whole beside the others, and becomes the current one
when the link is switched to it, in one rename. The history are the directories up to that one; a
directory with a higher number is of a move that was interrupted, and the next one takes its place.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import TypeAdapter

from elt_env.environment.damage import Damage, Fault
from elt_env.environment.launchers import LauncherFiles, launcher_files
from elt_env.errors import IntegrityError
from elt_env.package.canonical import digest_of
from elt_env.release.record import Release, release_before
from elt_env.runtime.files import remove_tree, sync_directory, write_atomically, writing
from elt_env.runtime.input_files import read_stored
from elt_env.store.local import LocalDocuments
from elt_env.store.locks import Store

_FILE = "release.json"
_RELEASES, _RECORDS, _CURRENT = "releases", "releases/.records", "current"
_RECORD = "its record"
_WAIT = "Wait for it or end it, then run the same command; or raise busy-limit."
_NUMBER = re.compile(r"[0-9]{6,}")
_release: TypeAdapter[Release] = TypeAdapter(Release)


class ReleaseStore:
    """The releases of a store; targets go by their names, as in `elt@3.11`.

    Records are documents. Launchers, and the link to the current ones, are files of this machine.
    """

    def __init__(self, store: Store) -> None:
        self._documents = store.documents
        self._home = store.local_home
        self._here = LocalDocuments(store.local_home)

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
        return tuple(sorted({*self._here.names(_RELEASES), *self._here.names(_CURRENT)}))

    @contextlib.contextmanager
    def sole_mover(self, name: str, limit: float) -> Iterator[None]:
        """Let one process at a time move the target's release; the others wait.

        Raises:
            BusyError: another one is still at it after `limit` seconds.
            StorageError: the store is not writable.
        """
        doing = f"moving the release of {name}"
        with self._documents.lease(f"{_RELEASES}/{name}", limit, doing, _WAIT):
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
            (new / "bin").mkdir(parents=True)
            for path, (content, mode) in self._files(release, prefix).items():
                _write_new(new / path, content, mode)
            sync_directory(new / "bin")
            new.replace(place)
            sync_directory(place.parent)

    def switch(self, release: Release) -> None:
        """Make a prepared release the current one, in one rename.

        Raises:
            StorageError: the disk is full or not writable; the one before still is.
        """
        with writing(self._pointer(release.target)):
            self._lead_to(release.target, release.number)
            self._keep(release)

    def damages(self, release: Release, prefix: Path) -> tuple[Damage, ...]:
        """Return what of a release's entry points and record is not as it was written."""
        place = self._directory(release.target, release.number)
        wanted = self._files(release, prefix)
        found = [_damage(place / path, path, *each) for path, each in wanted.items()]
        copy = self._copy(release)
        if copy.exists():  # a move that was interrupted right at its end wrote none
            found.append(_damage(copy, _RECORD, _with_checksum(release), 0o644))
        there = {path.relative_to(place).as_posix() for path in place.rglob("*")}
        added = sorted(there - wanted.keys() - {"bin"})
        found += [Damage("release", each, "was added") for each in added]
        found += [Damage("release", each.name, "was changed") for each in _misplaced(place)]
        return tuple(each for each in found if each is not None)

    def mend(self, release: Release, prefix: Path) -> tuple[Damage, ...]:
        """Write again what `damages` finds of a release, each file at once; return that.

        To be called by the sole mover.

        Raises:
            StorageError: the disk is full or not writable.
        """
        place = self._directory(release.target, release.number)
        wanted = self._files(release, prefix)
        damages = left = self.damages(release, prefix)
        misplaced = _misplaced(place)
        for path in misplaced:
            with writing(path):
                path.unlink()
        if misplaced:  # what was seen of it was seen through it, or not at all
            left = self.damages(release, prefix)
        for each in left:
            path = place / each.path
            if each.path in wanted:
                _write_over(path, *wanted[each.path])
            elif each.path == _RECORD:
                _write_over(self._copy(release), _with_checksum(release), 0o644)
            elif path.is_dir() and not path.is_symlink():
                remove_tree(path)
            elif os.path.lexists(path):  # else it went with the directory that it was in
                path.unlink()
        if not self._copy(release).exists():
            self._keep(release)
        return damages

    def lead(self, name: str) -> Damage | None:
        """Lead a target's pointer to its newest release again; return what was wrong with it.

        To be called by the sole mover.

        Raises:
            StorageError: the disk is full or not writable.
        """
        pointer = self._pointer(name)
        try:
            if self._current_number(name) >= self._switched(name):
                return None
        except IntegrityError:
            pass
        fault: Fault = "was changed" if os.path.lexists(pointer) else "is gone"
        with writing(pointer):
            if pointer.is_dir() and not pointer.is_symlink():
                remove_tree(pointer)
            newest = self._switched(name) or max(self._numbers(name), default=0)
            if newest:
                self._lead_to(name, newest)
            else:
                pointer.unlink(missing_ok=True)
        return Damage("release", f"current/{name}", fault)

    def require_led(self, name: str) -> None:
        """Return when a target's pointer leads to its newest release, or there is none.

        Raises:
            IntegrityError: it does not.
        """
        if self._current_number(name) < self._switched(name):
            raise self._misled(name, "was set to an older one by hand")

    def _lead_to(self, name: str, number: int) -> None:
        pointer = self._pointer(name)
        link = pointer.with_name(f".{pointer.name}")
        pointer.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(self._directory(name, number), pointer.parent))
        link.replace(pointer)
        sync_directory(pointer.parent)

    def _files(self, release: Release, prefix: Path) -> LauncherFiles:
        """Return all files of a release: content and mode by path."""
        place = self._directory(release.target, release.number)
        files = launcher_files(place, prefix, release.target, release.digest)
        return files | {_FILE: (_rendered(release), 0o644)}

    def _pointer(self, name: str) -> Path:
        return self._home / _CURRENT / name

    def _directory(self, name: str, number: int) -> Path:
        return self._home / _RELEASES / name / f"{number:06}"

    def _keep(self, release: Release) -> None:
        """Keep a release's record once more, since it was the current one."""
        self._documents.write(_record_key(release.target, release.number), _with_checksum(release))

    def _copy(self, release: Release) -> Path:
        """Return the file that the record is, where documents are files."""
        return Path(self._documents.place(_record_key(release.target, release.number)))

    def _switched(self, name: str) -> int:
        """Return the newest number that was the current one; 0 where that was not noted."""
        return max(_numbers(self._documents.names(f"{_RECORDS}/{name}")), default=0)

    def _current_number(self, name: str) -> int:
        """Return the number that the pointer names; 0 before the first release."""
        pointer = self._pointer(name)
        try:
            place = pointer.readlink()
        except FileNotFoundError:
            if self._switched(name) or max(self._numbers(name), default=0) > 1:
                raise self._misled(name, "is gone") from None
            return 0
        except OSError as error:
            raise self._misled(name, "is no link to a release") from error
        if place.parent.name != name or not _NUMBER.fullmatch(place.name):
            raise self._misled(name, f"leads to {place}, which is no release of {name}")
        number = int(place.name)
        if number not in self._numbers(name):
            raise self._misled(name, f"leads to release {number}, which is gone")
        return number

    def _numbers(self, name: str) -> list[int]:
        """Return the numbers of the releases that are there, whole or in part, oldest first."""
        records = self._documents.names(f"{_RECORDS}/{name}")
        return sorted({*_numbers(self._here.names(f"{_RELEASES}/{name}")), *_numbers(records)})

    def _read(self, name: str, number: int) -> Release:
        """Return the record of a release: what was kept once more, else what lies beside it."""
        path, copy = self._directory(name, number) / _FILE, _record_key(name, number)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return _checked(self._documents.read(copy))
        with contextlib.suppress(OSError, ValueError):
            return _release.validate_json(read_stored(path))
        copy = self._documents.place(copy)
        raise IntegrityError(
            f"The release {path} cannot be read, or was changed by hand; so was its copy {copy}.",
            f"Restore one of them from a backup. Without one, move both, and {path.parent}, away; "
            f"if it is the current one, lead {self._pointer(name)} to another first.",
        )

    def _misled(self, name: str, what: str) -> IntegrityError:
        newest = max(self._numbers(name), default=0)
        pointer = self._pointer(name)
        if not newest:
            return IntegrityError(
                f"{pointer}, which leads to the release of {name}, {what}, and none is left.",
                f"Remove it with: elt-env verify {name} --repair; then make a release again with: "
                f"elt-env build {name}",
            )
        where = os.path.relpath(self._directory(name, newest), pointer.parent)
        return IntegrityError(
            f"{pointer}, which leads to the release of {name}, {what}; the newest one is {newest}.",
            f"Lead it there: elt-env verify {name} --repair; or ln -sfn {where} {pointer}",
        )


def _rendered(release: Release) -> bytes:
    return _release.dump_json(release, indent=1) + b"\n"


def _with_checksum(release: Release) -> bytes:
    """Return the record of a release, and the digest of all else in it."""
    content = _release.dump_python(release, mode="json")
    return json.dumps(content | {"checksum": digest_of(content)}, indent=1).encode() + b"\n"


def _checked(text: bytes) -> Release:
    """Return a release from its record; ValueError where that was changed after it was written."""
    content = json.loads(text)
    stated = content.pop("checksum")
    if stated != digest_of(content):
        raise ValueError(stated)
    return _release.validate_python(content)


def _numbers(names: Iterable[str]) -> list[int]:
    numbers = (each.removesuffix(".json") for each in names)
    return [int(each) for each in numbers if _NUMBER.fullmatch(each)]


def _record_key(name: str, number: int) -> str:
    return f"{_RECORDS}/{name}/{number:06}.json"


def _damage(path: Path, name: str, content: bytes, mode: int) -> Damage | None:
    try:
        found = path.lstat()
        same = stat.S_ISREG(found.st_mode) and read_stored(path) == content
    except OSError:
        return Damage("release", name, "is gone")
    if not same:
        return Damage("release", name, "was changed")
    other = stat.S_IMODE(found.st_mode) != mode
    return Damage("release", name, "has other permissions") if other else None


def _misplaced(place: Path) -> list[Path]:
    """Return what is no directory of those that a release has."""
    there = [each for each in (place, place / "bin") if os.path.lexists(each)]
    return [each for each in there if each.is_symlink() or not each.is_dir()]


def _write_over(path: Path, content: bytes, mode: int) -> None:
    """Write a file in the place of whatever is there.

    Raises:
        StorageError: the disk is full or not writable.
    """
    if path.is_dir() and not path.is_symlink():
        remove_tree(path)
    write_atomically(path, content, mode)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a new file; it is on the disk when this returns."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    path.chmod(mode)
