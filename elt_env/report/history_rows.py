"""The history of all targets as rows: the warehouse's tables."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

from elt_env.lockfile.document import Lock
from elt_env.proof.rows import Row, change_rows, evidence_rows, lock_row, moment_text, package_row
from elt_env.release.record import Release
from elt_env.store.evidence import Evidence

Role = Literal["current", "previous", "past", "candidate"]

TABLES = ("locks", "packages", "lock_changes", "evidence", "releases")
"""The tables of the history: the kinds of its rows."""


@dataclass(frozen=True)
class KeptLock:
    """A lock of the store.

    Attributes:
        role: what it is to its target. A `candidate` was made beside the current lock, and neither
            checked nor released since.
        evidence: what is known of it.
    """

    lock: Lock
    role: Role
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True)
class History:
    """All that the store knows, in one order however it was read.

    Attributes:
        locks: by target, then in the order they were made.
        releases: by target, then in the order they became the release.
    """

    locks: tuple[KeptLock, ...]
    releases: tuple[Release, ...]

    def __post_init__(self) -> None:
        """Put locks and releases into their one order."""
        locks = sorted(self.locks, key=lambda each: _place(each.lock))
        releases = sorted(self.releases, key=lambda each: (each.target, each.number))
        object.__setattr__(self, "locks", tuple(locks))
        object.__setattr__(self, "releases", tuple(releases))


def _place(lock: Lock) -> tuple[object, ...]:
    return lock.target, lock.locked_at, lock.digest


def history_rows(history: History) -> Mapping[str, tuple[Row, ...]]:
    """Return the rows of each of TABLES: equal histories give equal rows, in the same order."""
    locks = history.locks
    rows: dict[str, Iterable[Row]] = {
        "locks": (lock_row(each.lock, each.role) for each in locks),
        "packages": (package_row(one, each.lock) for each in locks for one in each.lock.packages),
        "lock_changes": _changes(locks),
        "evidence": (row for each in locks for row in evidence_rows(each.evidence, each.lock)),
        "releases": (release_row(each) for each in history.releases),
    }
    return {table: tuple(_without_record(row) for row in rows[table]) for table in TABLES}


def _changes(locks: tuple[KeptLock, ...]) -> Iterable[Row]:
    """Yield what changed from lock to lock of each target; nobody took a candidate."""
    taken = (each.lock for each in locks if each.role != "candidate")
    for _, group in groupby(taken, key=lambda lock: lock.target):
        before: Lock | None = None
        for lock in group:
            yield from change_rows(before, lock)
            before = lock


def _without_record(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "record"}


def release_row(release: Release) -> Row:
    """Return the row of a release."""
    return {
        "record": "releases",
        "target": release.target,
        "release_number": release.number,
        "lock_digest": release.digest,
        "image_digest": release.image,
        "moved_at": moment_text(release.at),
        "action": release.action,
        "trigger": release.trigger,
        "moved_by": release.by,
    }
