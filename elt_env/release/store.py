"""The releases of a store: which lock of a target is released, and which ones were before.

Below `home`:

    releases/elt@3.11/000007/   one release: release.json and its launchers, never changed
    releases/.records/elt@3.11/000007.json   its record, once it was the current one
    current/elt@3.11            a link to the newest one's directory

The link is the pointer. A release is written whole beside the others, and becomes the current one
when the link is switched to it, in one rename. The history are the directories up to that one; a
directory with a higher number is of a move that was interrupted, and the next one takes its place.

Where several machines share the store, the pointer is a document (release/shared_pointer.py), and
the history are the records. The directories and the link are then this machine's alone: what runs
here, which is brought to the release by the next build, promotion or roll back.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from elt_env.environment.damage import Damage, Fault
from elt_env.environment.launchers import LauncherFiles, launcher_files
from elt_env.errors import IntegrityError
from elt_env.release.record import Release
from elt_env.release.record_file import (
    NUMBER,
    RECORDS,
    checked,
    numbers,
    record_key,
    record_names_of,
    release_type,
    unused_fields,
    with_checksum,
)
from elt_env.release.shared_pointer import SharedPointer
from elt_env.runtime.files import remove_tree, sync, write_atomically, writing
from elt_env.runtime.input_files import read_stored
from elt_env.store.local import LocalDocuments
from elt_env.store.locks import Store

_FILE = "release.json"
_RELEASES, _CURRENT = "releases", "current"
_RECORD = "its record"
_WAIT = "Wait for it or end it, then run the same command; or raise busy-limit."


class ReleaseStore:
    """The releases of a store; targets go by their names, as in `elt@3.11`.

    Records are documents. Launchers, and the link to the current ones, are files of this machine.
    """

    def __init__(self, store: Store) -> None:
        self._documents = store.documents
        self._home = store.local_home
        self._here = LocalDocuments(store.local_home)
        self._shared = SharedPointer(store.documents) if store.shared else None

    def entry_points(self, name: str) -> Path:
        """Return the directory in which the released programs are, at every moment."""
        return self._pointer(name) / "bin"

    def current(self, name: str) -> Release | None:
        """Return the target's release; None before the first.

        Raises:
            IntegrityError: its record cannot be read.
        """
        if self._shared:
            return self._shared.release(name)
        number = self._current_number(name)
        return self._read(name, number) if number else None

    def news(self, name: str, tag: str) -> tuple[Release, str] | None:
        """Return the target's release with a tag; None where nothing is new since it had that tag.

        Raises:
            FileNotFoundError: nothing is released.
            IntegrityError: its record cannot be read.
        """
        if self._shared:
            return self._shared.news(name, tag)
        found = self.current(name)
        if found is None:
            raise FileNotFoundError(self.entry_points(name))
        now = f"{found.number} {found.digest}"
        return None if now == tag else (found, now)

    def previous(self, name: str) -> Release | None:
        """Return the newest release whose lock is not the current one's; None without.

        Raises:
            IntegrityError: a record cannot be read.
        """
        if self._shared:
            return self._shared.previous(name)
        current = self.current(name)
        if current is None:
            return None
        before = (each for each in reversed(self._numbers(name)) if each < current.number)
        earlier = (self._read(name, each) for each in before)
        return next((each for each in earlier if each.digest != current.digest), None)

    def history(self, name: str, only: Collection[int] | None = None) -> tuple[Release, ...]:
        """Return every release of the target, the oldest first and the current one last.

        With `only`, no others than those of these numbers are read.

        Raises:
            IntegrityError: a record cannot be read.
        """
        if self._shared:
            return self._shared.history(name, only)
        last = self._current_number(name)
        numbers = [each for each in self._numbers(name) if only is None or each in only]
        return tuple(self._read(name, each) for each in numbers if each <= last)

    def tags(self, name: str) -> dict[int, str]:
        """Return a tag of each release of the history, by its number: another one once it is.

        "" where that cannot be told.

        Raises:
            IntegrityError: the pointer cannot be read.
        """
        records = self._documents.tags(f"{RECORDS}/{name}")
        if self._shared:
            current = self._shared.release(name)
            numbers = range(1, current.number + 1) if current else range(0)
            return {each: records.get(f"{each:06}.json", "") for each in numbers}
        last, there = self._current_number(name), self._here.names(f"{_RELEASES}/{name}")
        found = {}
        for each in self._numbers(name):
            tag = records.get(f"{each:06}.json")
            if each <= last:  # a record that is damaged is read from the directory
                found[each] = f"{tag}{'+' * (f'{each:06}' in there)}" if tag else ""
        return found

    def targets(self) -> tuple[str, ...]:
        """Return the names of the targets that have releases, or a pointer to one, sorted."""
        if self._shared:
            return self._shared.targets()
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
        newest = 0 if self._shared else max(self._numbers(release.target), default=0)
        if newest > release.number:
            raise self._misled(release.target, "was set to an older one by hand")
        self._write_directory(release, prefix)

    def _write_directory(self, release: Release, prefix: Path) -> None:
        place = self._directory(release.target, release.number)
        new = place.with_name(f".new-{place.name}")
        remove_tree(new)
        remove_tree(place)
        with writing(place):
            (new / "bin").mkdir(parents=True)
            for path, (content, mode) in self._files(release, prefix).items():
                _write_new(new / path, content, mode)
            sync(new / "bin")
            new.replace(place)
            sync(place.parent)

    def switch(self, release: Release) -> None:
        """Make a prepared release the current one: in one rename, or by compare-and-swap.

        Raises:
            StorageError: the disk is full or not writable; the one before still is.
            BusyError: another machine has just moved it.
        """
        if self._shared:
            self._shared.move(release)
            with writing(self._pointer(release.target)):
                self._lead_to(release.target, release.number)
            return
        with writing(self._pointer(release.target)):
            self._lead_to(release.target, release.number)
            self._write_record(release)

    def damages(self, release: Release, prefix: Path) -> tuple[Damage, ...]:
        """Return what of a release's entry points and record is not as it was written.

        A machine that was not brought to that release, of several that share it, has nothing of it.
        """
        if self._shared and not self._leads_to(release):
            return ()
        return self._damages(release, prefix)

    def _damages(self, release: Release, prefix: Path) -> tuple[Damage, ...]:
        place = self._directory(release.target, release.number)
        wanted = self._files(release, prefix)
        found = [_damage(place / path, path, *each) for path, each in wanted.items()]
        found.append(self._record_damage(release))
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
        damages = left = self._damages(release, prefix)
        misplaced = _misplaced(place)
        for path in misplaced:
            with writing(path):
                path.unlink()
        if misplaced:  # what was seen of it was seen through it, or not at all
            left = self._damages(release, prefix)
        for each in left:
            path = place / each.path
            if each.path in wanted:
                _write_over(path, *wanted[each.path])
            elif each.path == _RECORD:
                self._write_record(release)
            elif path.is_dir() and not path.is_symlink():
                remove_tree(path)
            elif os.path.lexists(path):  # else it went with the directory that it was in
                path.unlink()
        self._complete(release)
        return damages

    def _complete(self, release: Release) -> None:
        """Write the record if there is none; lead the link of one machine of several there."""
        if self._shared:
            self._shared.keep(release)
            if not self._leads_to(release):
                self._lead_to(release.target, release.number)
        elif not self._copy(release).exists():
            self._write_record(release)

    def lead(self, name: str) -> Damage | None:
        """Lead a target's pointer to its newest release again; return what was wrong with it.

        To be called by the sole mover.

        Raises:
            StorageError: the disk is full or not writable.
        """
        if self._shared:
            lost = self._shared.restore(name)
            return Damage("release", self._shared.place(name), "was changed") if lost else None
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

    def drop_launchers(self, name: str, digests: Collection[str]) -> None:
        """Remove launchers of releases before the current one, but for those of the locks named.

        Their records stay.

        Raises:
            IntegrityError: the pointer leads nowhere.
            StorageError: something cannot be removed.
        """
        last = self._current_number(name)
        for number in numbers(self._here.names(f"{_RELEASES}/{name}")):
            if number < last and self._read(name, number).digest not in digests:
                remove_tree(self._directory(name, number))

    def adopt(self, history: Sequence[Release]) -> None:
        """Make the last release of a history the current one, whose records are all there.

        Raises:
            StorageError: the store is full or not writable.
        """
        if self._shared:
            self._shared.adopt(history[-1])
        else:
            self.lead(history[-1].target)

    def require_led(self, name: str) -> None:
        """Return when a target's pointer leads to its newest release, or there is none.

        Raises:
            IntegrityError: it does not.
        """
        if not self._shared and self._current_number(name) < self._switched(name):
            raise self._misled(name, "was set to an older one by hand")

    def _lead_to(self, name: str, number: int) -> None:
        pointer = self._pointer(name)
        link = pointer.with_name(f".{pointer.name}")
        pointer.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(os.path.relpath(self._directory(name, number), pointer.parent))
        link.replace(pointer)
        sync(pointer.parent)

    def _files(self, release: Release, prefix: Path) -> LauncherFiles:
        """Return all files of a release: content and mode by path."""
        place = self._directory(release.target, release.number)
        files = launcher_files(place, prefix, release.target, release.digest)
        return files | {_FILE: (_rendered(release), 0o644)}

    def _pointer(self, name: str) -> Path:
        return self._home / _CURRENT / name

    def _directory(self, name: str, number: int) -> Path:
        return self._home / _RELEASES / name / f"{number:06}"

    def _leads_to(self, release: Release) -> bool:
        """Tell whether this machine's link leads to a release that is there."""
        pointer = self._pointer(release.target)
        place = self._directory(release.target, release.number)
        return pointer.is_symlink() and pointer.resolve() == place.resolve() and place.is_dir()

    def _write_record(self, release: Release) -> None:
        """Keep a release's record once more, since it was the current one."""
        key, content = record_key(release.target, release.number), with_checksum(release)
        if self._documents.directory is None:
            self._documents.write(key, content)
        else:
            _write_over(self._copy(release), content, 0o644)

    def _record_damage(self, release: Release) -> Damage | None:
        """Return what is wrong with the record; a move that died right at its end wrote none."""
        content = with_checksum(release)
        if self._documents.directory is not None:
            copy = self._copy(release)
            return _damage(copy, _RECORD, content, 0o644) if copy.exists() else None
        with contextlib.suppress(FileNotFoundError):
            if self._documents.read(record_key(release.target, release.number)) != content:
                return Damage("release", _RECORD, "was changed")
        return None

    def _copy(self, release: Release) -> Path:
        """Return the file that the record is, where documents are files."""
        return Path(self._documents.place(record_key(release.target, release.number)))

    def _switched(self, name: str) -> int:
        """Return the newest number that was the current one; 0 where that was not noted."""
        return max(record_names_of(self._documents, name), default=0)

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
        if place.parent.name != name or not NUMBER.fullmatch(place.name):
            raise self._misled(name, f"leads to {place}, which is no release of {name}")
        number = int(place.name)
        if number not in self._numbers(name):
            raise self._misled(name, f"leads to release {number}, which is gone")
        return number

    def _numbers(self, name: str) -> list[int]:
        """Return the numbers of the releases that are there, whole or in part, oldest first."""
        here = numbers(self._here.names(f"{_RELEASES}/{name}"))
        return sorted({*here, *record_names_of(self._documents, name)})

    def _read(self, name: str, number: int) -> Release:
        """Return the record of a release: what was kept once more, else what lies beside it."""
        path, copy = self._directory(name, number) / _FILE, record_key(name, number)
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return checked(self._documents.read(copy))
        with contextlib.suppress(OSError, ValueError):
            return release_type.validate_json(read_stored(path))
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
    return release_type.dump_json(release, indent=1, exclude=unused_fields(release)) + b"\n"


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
