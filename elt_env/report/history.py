"""Reads what is new in the history of all targets out of the store, which is the truth about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.canonical import digest_of
from elt_env.package.target import Target
from elt_env.proof.rows import Row, change_rows, evidence_rows, lock_row, package_row
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.report.history_rows import (
    TABLES,
    Change,
    KeptLock,
    Loaded,
    Mark,
    Role,
    kept_lock,
    lock_about,
    locks_before,
    release_row,
)
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Pointer, Store


def read_changes(store: Store, loaded: Loaded, say: Say) -> dict[str, Change]:
    """Return by table what a warehouse lacks of the store's history; all, where nothing is loaded.

    Nothing is read but what was written since it was loaded. What cannot be read is left out, and
    said, each time.

    Raises:
        IntegrityError: a lock that could be read until now no longer can.
    """
    return _Reader(store, loaded, say).changes()


class _Reader:
    def __init__(self, store: Store, loaded: Loaded, say: Say) -> None:
        self._store = store
        self._loaded = loaded
        self._say = say
        self._read: dict[str, Lock] = {}
        self._evidence: dict[str, tuple[Evidence, ...]] = {}
        self._releases: dict[str, Release] = {}

    def changes(self) -> dict[str, Change]:
        releases = dict(self._release_marks())
        files = self._store.lock_tags()
        locks = {each.digest: each for each in self._locks(files)}
        evidence = dict(self._evidence_marks(locks))
        taken = evidence.keys() | {each.about for each in releases.values()}
        roles = self._roles(locks, taken)
        before = locks_before(locks[each] for each, role in roles.items() if role != "candidate")
        marks: dict[str, Mapping[str, Mark]] = {
            "locks": {n: Mark(f"{files[n]} {roles[n]}", each.about) for n, each in locks.items()},
            "packages": {each: Mark(files[each]) for each in locks},
            "lock_changes": {each: Mark(f"after {old}") for each, old in before.items()},
            "evidence": evidence,
            "releases": releases,
        }
        rows: dict[str, Callable[[str], Iterable[Row]]] = {
            "locks": lambda key: [lock_row(self._lock(key), roles[key])],
            "packages": self._packages,
            "lock_changes": lambda key: self._changes(before[key], key),
            "evidence": lambda key: evidence_rows(self._evidence[key], self._lock(key)),
            "releases": lambda key: [release_row(self._releases[key])],
        }
        return {each: self._change(each, marks[each], rows[each]) for each in TABLES}

    def _change(
        self, table: str, marks: Mapping[str, Mark], rows: Callable[[str], Iterable[Row]]
    ) -> Change:
        known = self._known(table)
        new = {key: each for key, each in marks.items() if not each.tag or known.get(key) != each}
        return Change(
            anew=table not in self._loaded,
            gone=tuple(sorted(known.keys() - marks.keys() | known.keys() & new.keys())),
            marks=new,
            rows=tuple(_without_record(row) for key in new for row in rows(key)),
            version=digest_of(sorted(marks.items())),
        )

    def _known(self, table: str) -> Mapping[str, Mark]:
        return self._loaded.get(table, {})

    def _lock(self, digest: str) -> Lock:
        """Return a lock, read once."""
        if digest not in self._read:
            self._read[digest] = self._store.read_lock(digest, None)
        return self._read[digest]

    def _packages(self, digest: str) -> Iterator[Row]:
        lock = self._lock(digest)
        return (package_row(each, lock) for each in lock.packages)

    def _changes(self, before: str, digest: str) -> list[Row]:
        return change_rows(self._lock(before) if before else None, self._lock(digest))

    def _locks(self, files: Mapping[str, str]) -> Iterator[KeptLock]:
        known = self._known("locks")
        for digest, tag in files.items():
            mark = known.get(digest)
            if tag and mark and mark.tag.partition(" ")[0] == tag:
                yield lock_about(mark.about, digest)
                continue
            try:
                yield kept_lock(self._lock(digest))
            except IntegrityError as error:
                self._say(f"history: a lock is left out: {error.problem}")

    def _evidence_marks(self, locks: Mapping[str, KeptLock]) -> Iterator[tuple[str, Mark]]:
        known = self._known("evidence")
        for digest, tag in self._store.evidence_tags().items():
            if digest not in locks:
                continue
            mark = Mark(tag)
            if known.get(digest) != mark:
                try:
                    self._evidence[digest] = self._store.evidence(digest)
                except IntegrityError as error:
                    self._say(f"history: the evidence of {digest} is left out: {error.problem}")
                    continue
            yield digest, mark

    def _release_marks(self) -> Iterator[tuple[str, Mark]]:
        releases = ReleaseStore(self._store)
        for name in releases.targets():
            try:
                yield from self._marks_of(name, releases)
            except IntegrityError as error:
                self._say(f"history: the releases of {name} are left out: {error.problem}")

    def _marks_of(self, name: str, releases: ReleaseStore) -> list[tuple[str, Mark]]:
        """Return the marks of a target's releases, the digest of its lock with each."""
        known, tags = self._known("releases"), releases.tags(name)
        keys = {number: f"{name}/{number}" for number in tags}
        marks = {n: known.get(keys[n], Mark("")) for n in tags}
        new = {number for number, tag in tags.items() if not tag or marks[number].tag != tag}
        for each in releases.history(name, new) if new else ():
            marks[each.number] = Mark(tags[each.number], each.digest)
            self._releases[keys[each.number]] = each
        return [(keys[number], mark) for number, mark in marks.items()]

    def _roles(self, locks: Mapping[str, KeptLock], taken: Iterable[str]) -> dict[str, Role]:
        pointers = self._pointers({each.target for each in locks.values()})
        past = set(taken)
        return {
            n: _role(n, pointers.get(each.target), taken=n in past) for n, each in locks.items()
        }

    def _pointers(self, targets: Iterable[Target]) -> dict[Target, Pointer]:
        found = {}
        for target in sorted(targets):
            try:
                pointer = self._store.pointer(target)
            except IntegrityError as error:
                told = f"{target.name} is taken to have no current lock: {error.problem}"
                self._say(f"history: {told}")
                continue
            if pointer is not None:
                found[target] = pointer
        return found


def _role(digest: str, pointer: Pointer | None, *, taken: bool) -> Role:
    if pointer is not None and digest == pointer.current:
        return "current"
    if pointer is not None and digest == pointer.previous:
        return "previous"
    return "past" if taken else "candidate"


def _without_record(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "record"}
