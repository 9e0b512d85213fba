"""The store: locks, their pointers, evidence, and the places of prefixes and logs.

Locks and evidence are small files, kept under the digest of the lock; a target's pointer names
its current lock. All of it lies under `home`:

    locks/<digest>/             lock.json, conda-linux-64.lock, pylock.toml, requirements.txt
    project.json                whose store it is (project/store_owner.py)
    targets/elt@3.11/lock.json  the current lock's digest and the one before
    unlisted/<name>.json        an environment that was built from a file (project/unlisted.py)
    evidence/<digest>/          one file a check
    diffs/                      what new locks changed, with the reasons
    prefixes/elt@3.11-<short>/  the directories environments are installed in
    logs/, cache/, host-channel/
"""

from __future__ import annotations

import contextlib
import errno
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.lockfile import conda_lock, lock_json, pylock, requirements
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.runtime.files import write_atomically, writing
from elt_env.runtime.input_files import cause, read_bytes, read_stored, read_text
from elt_env.runtime.limits import MOST_LOCK_BYTES
from elt_env.store.evidence import Evidence
from elt_env.store.evidence_records import EvidenceRecords, Key

_RELOCK = "Make a new one with: elt-env relock {target}"
_PAUSES = (0.01, 0.1)  # seconds; putting a lock in the place of one takes two renames


@dataclass(frozen=True)
class Pointer:
    """A target's current lock digest, the one before, and since when."""

    current: str
    previous: str | None
    at: datetime


_pointer: TypeAdapter[Pointer] = TypeAdapter(Pointer)


class Store:
    """Everything that is kept, below one directory.

    Attributes:
        claim: called before anything is kept; raises where the store is another project's.
        evidence_key: returns what evidence is signed with; raises PolicyError where it cannot.
    """

    def __init__(
        self,
        home: Path,
        claim: Callable[[], None] = lambda: None,
        evidence_key: Key = lambda: None,
    ) -> None:
        self.home = home
        self.claim = claim
        self.evidence_key = evidence_key
        self._evidence = EvidenceRecords(home, evidence_key)

    def lock_directory(self, digest: str) -> Path:
        """Return where the files of the lock with that digest lie."""
        return self.home / "locks" / digest.removeprefix("sha256:")

    def write_lock(self, lock: Lock) -> Path:
        """Keep the lock's files; return their directory, in which they appear all at once.

        A lock of the same digest that was made at another time or from other places is replaced.

        Raises:
            StorageError: the store is full or not writable; what was there before still is.
        """
        self.claim()
        pylock.require_valid(lock)
        directory = self.lock_directory(lock.digest)
        with writing(directory):
            directory.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=directory.parent, prefix=".new-") as place:
                new, old = Path(place) / "new", Path(place) / "old"
                manifest = {lock_json.FILE_NAME: lock_json.render(lock)}
                for name, content in (_derived_files(lock) | manifest).items():
                    write_atomically(new / name, content)
                _exchange(directory, new, old)
        return directory

    def read_lock(self, digest: str, target: Target) -> Lock:
        """Return the lock with that digest, all of whose files are as they were written.

        Raises:
            IntegrityError: it is gone, was changed by hand, or is another target's.
        """
        lock = read_lock_directory(self.lock_directory(digest), target)
        return self._require_digest(lock, digest)

    def _require_digest(self, lock: Lock, digest: str) -> Lock:
        if lock.digest != digest:
            raise IntegrityError(
                f"{self.lock_directory(digest)} holds the lock {lock.digest}, not {digest}.",
                _RELOCK.format(target=lock.target.name),
            )
        return lock

    def read_manifest(self, digest: str, target: Target) -> Lock:
        """Return the lock with that digest; the files that derive from it may be damaged.

        Raises:
            IntegrityError: its lock.json is gone, was changed by hand, or is another target's.
        """
        lock = _steady(lambda: _read_manifest(self.lock_directory(digest), target))
        return self._require_digest(lock, digest)

    def current_lock(self, target: Target) -> Lock | None:
        """Return the target's current lock; None before the first.

        Raises:
            IntegrityError: it was changed by hand, or is another target's.
        """
        pointer = self.pointer(target)
        return None if pointer is None else self.read_lock(pointer.current, target)

    def pointer(self, target: Target) -> Pointer | None:
        """Return which lock is the target's current one; None before the first.

        Raises:
            IntegrityError: the pointer cannot be read.
        """
        path = self._pointer_path(target)
        try:
            return _pointer.validate_json(read_stored(path))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise IntegrityError(
                f"{path} is not a pointer to a lock.", _RELOCK.format(target=target.name)
            ) from error

    def set_current(self, target: Target, digest: str, at: datetime) -> None:
        """Make the lock with that digest the target's current one, in one rename."""
        self.claim()
        try:
            before = self.pointer(target)
        except IntegrityError:
            before = None
        if before is not None and before.current == digest:
            return
        pointer = Pointer(digest, before.current if before else None, at)
        write_atomically(self._pointer_path(target), _pointer.dump_json(pointer, indent=1) + b"\n")

    def _pointer_path(self, target: Target) -> Path:
        return self.home / "targets" / target.name / lock_json.FILE_NAME

    def prefix_path(self, lock: Lock) -> Path:
        """Return the directory that the lock's environment is installed in on this machine."""
        return self.home / "prefixes" / f"{lock.target.name}-{short(lock.digest)}"

    def log_path(self, digest: str, name: str) -> Path:
        """Return where the full log of a step on that lock digest goes."""
        return self.home / "logs" / short(digest) / f"{name}.log"

    def record(self, digest: str, evidence: Evidence) -> None:
        """Keep the newest result of a check on that lock digest.

        Raises:
            StorageError: the store is full or not writable.
            PolicyError: what it is to be signed with cannot be read.
        """
        self._evidence.write(digest, evidence)

    def evidence(self, digest: str) -> tuple[Evidence, ...]:
        """Return the newest result of every check on that lock digest, sorted by check.

        One whose record is not as it was written is `not_run`, and `doubt` says why.

        Raises:
            IntegrityError: a record cannot be read.
        """
        return self._evidence.read(digest)


def _exchange(directory: Path, new: Path, old: Path) -> None:
    """Let `new` become `directory`, and what was there become `old`."""
    with contextlib.suppress(FileNotFoundError):
        directory.replace(old)
    try:
        new.replace(directory)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return  # another process has just put the lock of the same digest there; it will do
        with contextlib.suppress(OSError):
            old.replace(directory)
        raise


def read_lock_directory(directory: Path, target: Target | None) -> Lock:
    """Return the lock whose files lie in `directory`, for `target` if one is given.

    Raises:
        IntegrityError: a file is gone or was changed by hand, or it is another target's lock.
    """
    return _steady(lambda: _read_whole(directory, target))


def _steady(read: Callable[[], Lock]) -> Lock:
    """Return what is read; at a fault again, since the lock may just have been replaced."""
    for pause in _PAUSES:
        try:
            return read()
        except IntegrityError:
            time.sleep(pause)
    return read()


def _read_whole(directory: Path, target: Target | None) -> Lock:
    lock = _read_manifest(directory, target)
    for name in damaged_files(directory, lock):
        raise IntegrityError(
            f"{directory / name} is not what {directory / lock_json.FILE_NAME} says.",
            _RELOCK.format(target=target.name if target else "TARGET"),
        )
    return lock


def _read_manifest(directory: Path, target: Target | None) -> Lock:
    remedy = _RELOCK.format(target=target.name if target else "TARGET")
    path = directory / lock_json.FILE_NAME
    try:
        text = read_text(path, MOST_LOCK_BYTES)
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"The lock {path} cannot be read: {cause(error)}.", remedy) from error
    lock = lock_json.parse(text, str(path), remedy)
    if target is not None and lock.target != target:
        raise IntegrityError(
            f"{path} is a lock of {lock.target}; {target} is wanted.",
            f"Use a lock of {target}, or make one with: elt-env lock {target.name}",
        )
    return lock


def damaged_files(directory: Path, lock: Lock) -> tuple[str, ...]:
    """Return the names of the files in a lock's directory that do not derive from the lock."""
    return tuple(
        name
        for name, content in _derived_files(lock).items()
        if _content(directory / name) != content.encode()
    )


def _derived_files(lock: Lock) -> dict[str, str]:
    """Return what derives from a lock's manifest: content by file name."""
    return {
        conda_lock.file_name(lock): conda_lock.render(lock),
        pylock.FILE_NAME: pylock.render(lock),
        requirements.FILE_NAME: requirements.render(lock),
    }


def _content(path: Path) -> bytes | None:
    try:
        return read_bytes(path, MOST_LOCK_BYTES)
    except OSError:
        return None
