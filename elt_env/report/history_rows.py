"""The history of all targets as rows: the warehouse's tables, and what tells rows that are new."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from elt_env.lockfile.document import Lock
from elt_env.package.target import Target
from elt_env.proof.rows import Row, moment_text
from elt_env.release.record import Release

Role = Literal["current", "previous", "past", "candidate"]
"""What a lock is to its target. A `candidate` was made beside the current lock, and neither checked
nor released since."""

KEYS: Mapping[str, str] = {
    "locks": "lock_digest",
    "packages": "lock_digest",
    "lock_changes": "lock_digest",
    "evidence": "lock_digest",
    "releases": "target || '/' || release_number",
}
"""The tables of the history, and of each what keys its rows, as SQL: they come and go by key."""

TABLES = tuple(KEYS)


class Mark(NamedTuple):
    """What the rows of a key were made of.

    Attributes:
        tag: another one once that changes; "" where that cannot be told.
        about: what has to be known of it without reading it again.
    """

    tag: str
    about: str = ""


Loaded = Mapping[str, Mapping[str, Mark]]
"""By table and by key, of what the rows are that a warehouse has; what is not there is no table."""


@dataclass(frozen=True)
class Change:
    """What a table lacks.

    Attributes:
        anew: whether nothing of it counts.
        gone: the keys whose rows are to be removed.
        marks: of the keys whose rows are new, or other ones, after that.
        rows: these.
        version: digest of what all rows of the table are of then.
    """

    anew: bool
    gone: tuple[str, ...]
    marks: Mapping[str, Mark]
    rows: tuple[Row, ...]
    version: str


@dataclass(frozen=True, order=True)
class KeptLock:
    """What orders a lock among others: its target, and when it was made, UTC."""

    target: Target
    locked_at: str
    digest: str

    @property
    def about(self) -> str:
        """All that but for the digest as a text."""
        target = self.target
        return f"{target.environment} {target.python} {target.platform} {self.locked_at}"


def kept_lock(lock: Lock) -> KeptLock:
    """Return what orders a lock."""
    return KeptLock(lock.target, moment_text(lock.locked_at) or "", lock.digest)


def lock_about(about: str, digest: str) -> KeptLock:
    """Return what orders the lock with that digest, from its text."""
    environment, python, platform, moment = about.split(" ", 3)
    return KeptLock(Target(environment, python, platform), moment, digest)


def locks_before(locks: Iterable[KeptLock]) -> dict[str, str]:
    """Return by its digest the digest of the lock before each of its target; "" for the first."""
    found: dict[str, str] = {}
    last: dict[Target, str] = {}
    for each in sorted(locks):
        found[each.digest] = last.get(each.target, "")
        last[each.target] = each.digest
    return found


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
