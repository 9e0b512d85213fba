"""The changes between two locks, with their reasons: a value that outlives both locks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter

from elt_env.environment.startup_code import StartupChange
from elt_env.lock.origins import SourceChange
from elt_env.lockfile.changes import SIGNS, Change, Kind, Level
from elt_env.lockfile.document import Manager, Package

SCHEMA = 1
"""Version of the report as JSON; a change of meaning raises it."""

_LEVELS: tuple[Level, ...] = ("major", "minor", "patch", "pre", "other")


@dataclass(frozen=True)
class Side:
    """A package before or after a change.

    Attributes:
        build: conda's build string; None for pip.
        size: bytes of the archive, where known.
        released_at: when it was uploaded (pip) or built (conda), UTC, where known.
        yanked: why nobody should take it (PEP 592), "" without a reason; None when it is not, or
            where nobody was asked.
    """

    manager: Manager
    version: str
    build: str | None = None
    size: int | None = None
    released_at: datetime | None = None
    yanked: str | None = None


@dataclass(frozen=True)
class ExplainedChange:
    """One package that differs, and what there is to know about it.

    Attributes:
        kind: `rebuilt` is the same version with other bytes; `moved` changed its manager.
        manager: who installs it now; who did, when it was removed.
        direct: whether a person asked for it by name.
        required_by: the locked packages that need it; those that did, when it was removed.
        level: which part of the version differs first; None where there are not two.
        downgraded: whether the new version is older than the old one.
        old: None when it was added.
        new: None when it was removed.
        age_days: whole days that the new one had been out when the lock was made, where known.
        size_change: bytes, where known.
        skipped: the final releases strictly between old and new, oldest first, without yanked
            ones; None where nobody was asked.
        changelog: URL of the project's own changelog, where its metadata name one.
    """

    name: str
    kind: Kind
    manager: Manager
    direct: bool
    required_by: tuple[str, ...]
    level: Level | None
    downgraded: bool
    old: Side | None
    new: Side | None
    age_days: int | None
    size_change: int | None
    skipped: tuple[str, ...] | None = None
    changelog: str | None = None

    @property
    def yanked(self) -> str | None:
        """Why nobody should take what is locked now; None when nobody says so."""
        return self.new.yanked if self.new else None


def explained(change: Change, at: datetime) -> ExplainedChange:
    """Return what the locks alone tell about a change, the newer of which was made `at`."""
    age = change.age(at)
    return ExplainedChange(
        name=change.name,
        kind=change.kind,
        manager=change.manager,
        direct=change.direct,
        required_by=change.required_by,
        level=change.level,
        downgraded=change.sinks,
        old=_side(change.old),
        new=_side(change.new),
        age_days=None if age is None else max(age.days, 0),
        size_change=change.size_change,
    )


def _side(package: Package | None) -> Side | None:
    if package is None:
        return None
    return Side(
        manager=package.manager,
        version=package.version,
        build=package.build,
        size=package.size,
        released_at=package.released_at,
    )


def with_yanks(each: ExplainedChange, old: str | None, new: str | None) -> ExplainedChange:
    """Return the change with the reasons why its old and its new file were yanked."""
    return replace(
        each,
        old=replace(each.old, yanked=old) if each.old else None,
        new=replace(each.new, yanked=new) if each.new else None,
    )


@dataclass(frozen=True)
class Waiting:
    """A package whose newer release the cool-down holds back.

    Attributes:
        locked: the version that is locked instead.
        newer: the version that is held back.
        released_at: when it was released, UTC.
        eligible_at: from when on it can be locked, UTC.
    """

    name: str
    manager: Manager
    locked: str
    newer: str
    released_at: datetime
    eligible_at: datetime


@dataclass(frozen=True)
class DiffReport:
    """What changed from one lock to another.

    Attributes:
        target: whose lock the new one is, as in `elt@3.11`.
        old: digest of the lock before; None when the new one is the first.
        new: digest of the lock.
        at: when the new lock was made, UTC; ages are as of then.
        changes: what weighs most first: downgrades, yanked ones, majors, other versions, other
            bytes; of each, what a person asked for before what others need; then by name.
        held_back: what the cool-down held back at that moment, sorted by name.
        notes: what could not be found out, and why, a line each.
        sources: what comes from another index or channel than before, by name.
        startup: what newly runs at every start of Python: as it is installed, else as the archives
            of what changed tell.
    """

    target: str
    old: str | None
    new: str
    at: datetime
    changes: tuple[ExplainedChange, ...]
    held_back: tuple[Waiting, ...] = ()
    notes: tuple[str, ...] = ()
    sources: tuple[SourceChange, ...] = ()
    startup: tuple[StartupChange, ...] = ()

    def __post_init__(self) -> None:
        """Put the changes into their one order."""
        object.__setattr__(self, "changes", tuple(sorted(self.changes, key=_weight)))

    @property
    def is_first(self) -> bool:
        """Whether there was no lock before."""
        return self.old is None

    @property
    def downgrades(self) -> int:
        """How many packages are older than before."""
        return sum(each.downgraded for each in self.changes)

    @property
    def majors(self) -> int:
        """How many packages have another major version, newer or older."""
        return sum(each.level == "major" for each in self.changes)

    @property
    def yanked(self) -> int:
        """How many packages are locked that nobody should take."""
        return sum(each.yanked is not None for each in self.changes)

    @property
    def size_change(self) -> int | None:
        """How many bytes the archives are larger in sum, of those whose sizes are known."""
        sizes = [each.size_change for each in self.changes if each.size_change is not None]
        return sum(sizes) if sizes or not self.changes else None


def _weight(each: ExplainedChange) -> tuple[list[bool], str, str]:
    is_major = each.level == "major"
    grave = (each.downgraded, each.yanked is not None, is_major, each.kind != "rebuilt")
    return [not fact for fact in (*grave, each.direct)], each.name, each.manager


_report: TypeAdapter[DiffReport] = TypeAdapter(DiffReport)


def to_json(report: DiffReport) -> dict[str, Any]:
    """Return the report as a JSON object whose keys are stable.

    They are the attributes of DiffReport, ExplainedChange, Side and Waiting by their names; moments
    are ISO 8601 in UTC. There are also `schema`; `counts`, how many changes there are in all, of
    each kind and of each level, and how many are yanked; and `size_change`, in bytes.
    """
    content = _report.dump_python(report, mode="json")
    return {
        "schema": SCHEMA,
        **content,
        "counts": counts(report),
        "size_change": report.size_change,
    }


def parse(text: str | bytes) -> DiffReport:
    """Return the report that stands in JSON.

    Raises:
        ValueError: it does not.
    """
    return _report.validate_json(text)


def counts(report: DiffReport) -> dict[str, int]:
    """Return how many changes there are: `all`, of each kind and level, and `yanked`."""
    kinds = [each.kind for each in report.changes]
    levels = [each.level for each in report.changes]
    return {
        "all": len(report.changes),
        **_counted(SIGNS, kinds),
        **_counted(_LEVELS, levels),
        "yanked": report.yanked,
    }


def _counted(words: Iterable[str], found: list[Any]) -> dict[str, int]:
    return {word: found.count(word) for word in words}
