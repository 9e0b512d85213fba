"""The store: locks, their pointers, evidence, and the places of prefixes and logs.

Locks and evidence are small documents, kept under the digest of the lock; a target's pointer names
its current lock. By key, and on a local disk as files below `home`:

    locks/<digest>/             lock.json, conda-linux-64.lock where there is a conda half,
                                pylock.toml, requirements.txt
    project.json                whose store it is (project/store_owner.py)
    targets/elt@3.11/lock.json  the current lock's digest and the one before
    unlisted/<name>.json        an environment that was built from a file (project/unlisted.py)
    evidence/<digest>/          one file a check
    diffs/                      what new locks changed, with the reasons

Local to a machine, whatever keeps the documents:

    prefixes/elt@3.11-<short>/  the directories environments are installed in
    logs/, cache/, host-channel/
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import InputError, IntegrityError
from elt_env.lockfile import lock_json
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import digest_of, short
from elt_env.package.target import Target
from elt_env.runtime.clock import Clock, utc_now
from elt_env.runtime.input_files import cause
from elt_env.runtime.limits import MOST_LOCK_BYTES
from elt_env.store.documents import Documents, Folder, is_record, read_record, record_bytes
from elt_env.store.evidence import Evidence
from elt_env.store.evidence_records import EvidenceRecords, Key
from elt_env.store.local import LocalDocuments

FileFault = Literal["was changed", "is gone"]

_RELOCK = "Make a new one with: elt-env relock {target}"
_LOCK_FOLDER = re.compile(r"\.?([0-9a-f]{64})(-[0-9a-f]{12})?")
_REMEMBERED = 8  # locks: a run reads one again and again
_PAUSES = (0.01, 0.1)  # seconds; putting a lock in the place of one takes two renames


@dataclass(frozen=True)
class Pointer:
    """A target's current lock digest, the one before, and since when."""

    current: str
    previous: str | None
    at: datetime


_pointer: TypeAdapter[Pointer] = TypeAdapter(Pointer)


def no_lock(target: Target) -> InputError:
    """Return the error where a target has no lock and needs one."""
    return InputError(
        f"There is no lock of {target.name} yet.", f"Make one: elt-env lock {target.name}"
    )


class Store:
    """Everything that is kept.

    Attributes:
        local_home: the directory of this machine with its prefixes, logs, caches and file locks.
        documents: what every machine knows.
        claim: called before anything is kept; raises where the store is another project's.
        evidence_key: returns what evidence is signed with; raises PolicyError where it cannot.
        now: the clock that dates what is kept.
    """

    def __init__(
        self,
        local_home: Path,
        claim: Callable[[], None] = lambda: None,
        evidence_key: Key = lambda: None,
        documents: Documents | None = None,
        now: Clock = utc_now,
    ) -> None:
        self.local_home = local_home
        self.documents: Documents = documents or LocalDocuments(local_home)
        self.claim = claim
        self.evidence_key = evidence_key
        self.now: Clock = now
        self._evidence = EvidenceRecords(self.documents, evidence_key)

    @property
    def shared(self) -> bool:
        """Whether the documents lie elsewhere than what belongs to this machine."""
        return self.documents.directory != self.local_home

    def lock_directory(self, digest: str) -> str:
        """Return where the files of the lock with that digest lie: a directory, or a URL."""
        return self.documents.folder(_folder(digest)).place("")

    def digest_at(self, place: str) -> str | None:
        """Return the digest of the lock whose files lie there in the store; None elsewhere."""
        inside = place.rstrip("/").removeprefix(self.documents.place(_LOCKS) + "/")
        found = _LOCK_FOLDER.fullmatch(inside)
        return f"sha256:{found[1]}" if found else None

    def lock_digests(self) -> tuple[str, ...]:
        """Return the digests of the locks that are kept, sorted."""
        return tuple(f"sha256:{each}" for each in self.documents.names(_LOCKS))

    def lock_tags(self) -> dict[str, str]:
        """Return a tag of each lock that is kept, by its digest: another one once a file is."""
        found = _grouped(self.documents.tags(_LOCKS), _folder_name)
        return {each: found.get(each.removeprefix("sha256:"), "") for each in self.lock_digests()}

    def evidence_tags(self) -> dict[str, str]:
        """Return a tag of the evidence on each lock, by the lock's digest: another one once it is.

        Evidence takes its logs with it.
        """
        tags = self.documents.tags("evidence")
        found = _grouped({k: tag for k, tag in tags.items() if is_record(k)}, "sha256:{}".format)
        logs = _grouped(self.documents.tags("logs"), str)
        return {key: f"{tag} {logs.get(short(key), '')}" for key, tag in found.items()}

    def write_lock(self, lock: Lock) -> str:
        """Keep the lock's files; return their directory, in which they appear all at once.

        A lock of the same digest that was made at another time or from other places is replaced.

        Raises:
            StorageError: the store is full or not writable; what was there before still is.
        """
        self.claim()
        from elt_env.lockfile import pylock

        pylock.require_valid(lock)
        manifest = {lock_json.FILE_NAME: lock_json.render(lock)}
        self.documents.write_folder(_folder(lock.digest), {**_derived_files(lock), **manifest})
        return self.lock_directory(lock.digest)

    def read_lock(self, digest: str, target: Target | None) -> Lock:
        """Return the lock with that digest, all of whose files are as they were written.

        Raises:
            IntegrityError: it is gone, was changed by hand, or is another target's than the one
                that is given.
        """
        lock = _steady(lambda: _read_whole(self.documents.folder(_folder(digest)), target))
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
        lock = _steady(lambda: _read_manifest(self.documents.folder(_folder(digest)), target))
        return self._require_digest(lock, digest)

    def damaged_files(self, lock: Lock) -> dict[str, FileFault]:
        """Return which of a kept lock's files do not derive from it, by name."""
        return _damaged_files(self.documents.folder(_folder(lock.digest)), lock)

    def current_lock(self, target: Target) -> Lock | None:
        """Return the target's current lock; None before the first.

        Raises:
            IntegrityError: it was changed by hand, or is another target's.
        """
        pointer = self.pointer(target)
        return None if pointer is None else self.read_lock(pointer.current, target)

    def targets(self) -> tuple[str, ...]:
        """Return the names of the targets that have, or had, a current lock, sorted."""
        return tuple(each for each in self.documents.names(_TARGETS) if "@" in each)

    def pointer(self, target: Target) -> Pointer | None:
        """Return which lock is the target's current one; None before the first.

        Raises:
            IntegrityError: the pointer cannot be read.
        """
        remedy = _RELOCK.format(target=target.name)
        key = _pointer_key(target)
        return read_record(self.documents, key, _pointer, "{} is not a pointer to a lock.", remedy)

    def set_current(self, target: Target, digest: str, at: datetime) -> None:
        """Make the lock with that digest the target's current one.

        Another one who does so at the same time is before or after it: none is skipped.

        Raises:
            StorageError: the store is full or not writable.
        """
        self.claim()
        moved = False
        while not moved:
            moved = self._move(target, digest, at)

    def _move(self, target: Target, digest: str, at: datetime) -> bool:
        """Move a pointer unless another one has just moved it; return whether it is there."""
        key, seen, before = _pointer_key(target), None, None
        try:
            seen = self.documents.read(key)
            before = _pointer.validate_json(seen).current
        except (FileNotFoundError, ValidationError):
            pass  # what is no pointer leads nowhere
        except OSError:
            self.documents.write(key, record_bytes(_pointer, Pointer(digest, None, at)))
            return True
        if before == digest:
            return True
        return self.documents.swap(key, seen, record_bytes(_pointer, Pointer(digest, before, at)))

    def prefix_path(self, lock: Lock) -> Path:
        """Return the directory that the lock's environment is installed in on this machine."""
        return self.local_home / "prefixes" / f"{lock.target.short}-{short(lock.digest)}"

    def log_path(self, digest: str, name: str) -> Path:
        """Return where the full log of a step on that lock digest goes, on this machine."""
        return self.local_home / log_key(digest, name)

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


_LOCKS, _TARGETS = "locks", "targets"


def log_key(digest: str, name: str) -> str:
    """Return the key of the full log of a check on that lock digest."""
    return f"logs/{short(digest)}/{name}.log"


def _folder(digest: str) -> str:
    return f"{_LOCKS}/{digest.removeprefix('sha256:')}"


def _folder_name(name: str) -> str:
    """Return the name of the lock that a folder, maybe one of a single writing, is of."""
    found = _LOCK_FOLDER.fullmatch(name)
    return found[1] if found else name


def _grouped(tags: Mapping[str, str], group: Callable[[str], str]) -> dict[str, str]:
    """Return one tag for all that is in each folder, by what the folder's name stands for."""
    found: dict[str, list[tuple[str, str]]] = {}
    for key, tag in sorted(tags.items()):
        found.setdefault(group(key.partition("/")[0]), []).append((key, tag))
    return {name: short(digest_of(each)) for name, each in found.items()}


def _pointer_key(target: Target) -> str:
    # That of another platform lies beside it: a machine of that platform has a store of its own.
    place = f"{target.platform}-" if target.is_foreign else ""
    return f"{_TARGETS}/{target.short}/{place}{lock_json.FILE_NAME}"


def read_lock_directory(directory: Path, target: Target | None) -> Lock:
    """Return the lock whose files lie in `directory`, for `target` if one is given.

    Raises:
        IntegrityError: a file is gone or was changed by hand, or it is another target's lock.
    """
    return _steady(lambda: _read_whole(LocalDocuments(directory), target))


def _steady(read: Callable[[], Lock]) -> Lock:
    """Return what is read; at a fault again, since the lock may just have been replaced."""
    for pause in _PAUSES:
        try:
            return read()
        except IntegrityError:
            time.sleep(pause)
    return read()


def _read_whole(folder: Folder, target: Target | None) -> Lock:
    lock = _read_manifest(folder, target)
    for name in _damaged_files(folder, lock):
        places = (folder.place(each) for each in (name, lock_json.FILE_NAME))
        raise IntegrityError(
            "{} is not what {} says.".format(*places),
            _RELOCK.format(target=target.name if target else "TARGET"),
        )
    return lock


def _read_manifest(folder: Folder, target: Target | None) -> Lock:
    remedy = _RELOCK.format(target=target.name if target else "TARGET")
    place = folder.place(lock_json.FILE_NAME)
    try:
        text = folder.read(lock_json.FILE_NAME, MOST_LOCK_BYTES).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise IntegrityError(f"The lock {place} cannot be read: {cause(error)}.", remedy) from error
    lock = lock_json.parse(text, place, remedy)
    if target is not None and lock.target != target:
        alike = lock.target.short == target.short
        raise IntegrityError(
            f"{place} is a lock of {lock.target}; {target} is wanted.",
            f"Use a lock of {target}, or make one with: elt-env lock {target.name}"
            + ("; machines of two platforms have a store each" if alike else ""),
        )
    return lock


def _damaged_files(folder: Folder, lock: Lock) -> dict[str, FileFault]:
    """Return which files in a lock's folder do not derive from the lock."""
    faults: dict[str, FileFault] = {}
    for name, content in _derived_files(lock).items():
        try:
            if folder.read(name, MOST_LOCK_BYTES) != content.encode():
                faults[name] = "was changed"
        except FileNotFoundError:
            faults[name] = "is gone"
        except OSError:
            faults[name] = "was changed"
    return faults


@lru_cache(maxsize=_REMEMBERED)
def _derived_files(lock: Lock) -> Mapping[str, str]:
    """Return what derives from a lock's manifest: content by file name."""
    from elt_env.lockfile import conda_lock, pylock, requirements  # slow to load, and to write

    return {
        **({} if lock.interpreter else {conda_lock.file_name(lock): conda_lock.render(lock)}),
        pylock.FILE_NAME: pylock.render(lock),
        requirements.FILE_NAME: requirements.render(lock),
    }
