"""Watch: what a sensor sees of a target, what it remembers, and how it says both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from elt_env.lock.releases import News
from elt_env.lockfile.changes import Change
from elt_env.package.canonical import digest_of
from elt_env.runtime.texts import first_of

CURSOR_VERSION = 1
Holder = Literal["current", "released"]
"""Which of a target's locks: its current one, or its release's."""

TRIES = 3
"""How often a run is asked for before it is given up."""

_LISTED = 3
_LONGEST = 200  # characters of a run's tag that a person still reads


@dataclass(frozen=True)
class LostPackage:
    """Something a lock holds that nobody should take any more.

    Attributes:
        how: what became of it, as in `was yanked (broken)`.
        holders: which locks hold it.
    """

    name: str
    version: str
    how: str
    holders: tuple[Holder, ...]

    def __str__(self) -> str:
        where = "" if "current" in self.holders else " (in the released lock)"
        return f"{self.name} {self.version} {self.how}{where}"


@dataclass(frozen=True)
class Sight:
    """What there is for a target beyond its current lock.

    Attributes:
        looked_at: what was looked at, as in `160 packages on their indexes`.
        usable: releases that the rules let be used, those that a person asked for first and of
            each package the newest first.
        ignored: for each package the newest release that does not count, in the same order.
        lost: what was yanked, or is gone from its index.
        plugins: the names among them that are locked for Meltano's plugins, beside the lock.
    """

    looked_at: str
    usable: tuple[News, ...] = ()
    ignored: tuple[News, ...] = ()
    lost: tuple[LostPackage, ...] = ()
    plugins: tuple[str, ...] = ()

    @property
    def found(self) -> str:
        """What was found, as in `dagster 1.13.27 → 1.13.28 and 2 more`; "" for nothing."""
        newest: dict[str, News] = {}
        for each in self.usable:
            newest.setdefault(each.name, each)
        return listed([str(each) for each in (*self.lost, *newest.values())])

    @property
    def upgrade(self) -> tuple[str, ...]:
        """The names of what a new lock is to move: news, and what the current lock lost."""
        lost = (each.name for each in self.lost if "current" in each.holders)
        return tuple(sorted({*lost, *(each.name for each in self.usable)}))

    def fingerprint(self, *context: str) -> str:
        """Return a digest that changes when there is something to decide anew.

        `context` is what else the decision depends on: the digests of the lock and of the spec.
        """
        return digest_of(
            {
                "context": list(context),
                "usable": sorted([each.name, each.version] for each in self.usable),
                "lost": sorted([each.name, each.version, each.how] for each in self.lost),
            }
        )

    def ignored_text(self) -> str:
        """Return which releases do not count and why; "" when all do."""
        return listed([f"{each.name}: {each.reason}" for each in self.ignored], "; ")


@dataclass(frozen=True)
class Ask:
    """A run that a sensor asks for.

    Attributes:
        key: its run key; a candidate's digest, where there is one.
        job: which job of the environment.
        python: its Python minor: the partition, or what is examined.
        trigger: why, in a line.
        candidate: digest of the lock that it is to make the current one.
        upgrade: what it may upgrade where the candidate does not do any more, or there is none.
    """

    key: str
    job: Literal["build", "python_readiness"]
    python: str
    trigger: str
    candidate: str | None = None
    upgrade: tuple[str, ...] = ()


@dataclass(frozen=True)
class TargetState:
    """What a sensor remembers of a target from its last decision.

    Attributes:
        fingerprint: of what was decided on.
        outcome: what was decided, for a person.
        asked: the run that was asked for, until its end was seen.
    """

    fingerprint: str = ""
    outcome: str = ""
    asked: Ask | None = None


@dataclass(frozen=True)
class Cursor:
    """What a sensor remembers between two ticks.

    Attributes:
        targets: by the names of targets, as in `elt@3.11`.
        late: the targets for which the last tick had no time.
    """

    targets: Mapping[str, TargetState] = field(default_factory=dict)
    late: tuple[str, ...] = ()
    version: int = CURSOR_VERSION

    def of(self, name: str) -> TargetState:
        """Return what is remembered of a target; nothing at first."""
        return self.targets.get(name, TargetState())

    def with_memory(self, name: str, memory: TargetState) -> Cursor:
        """Return a cursor in which that is remembered of a target."""
        return replace(self, targets={**self.targets, name: memory})

    def to_json(self) -> str:
        """Return the cursor as Dagster keeps it."""
        return _cursor.dump_json(self).decode()


_cursor: TypeAdapter[Cursor] = TypeAdapter(Cursor)


def read_cursor(text: str | None) -> tuple[Cursor, str]:
    """Return the cursor that `text` is, and "" or why it starts anew."""
    if not text:
        return Cursor(), ""
    try:
        cursor = _cursor.validate_json(text)
    except ValidationError:
        return Cursor(), "the cursor could not be read, starting anew"
    if cursor.version != CURSOR_VERSION:
        return Cursor(), f"the cursor is of version {cursor.version}, starting anew"
    return cursor, ""


@dataclass(frozen=True)
class RunEnd:
    """How a run that was asked for ended.

    Attributes:
        run: the start of its id.
        how: `lost` is one that ended without a reason of its own: killed, or by a failure that
            may go away by itself.
        problem: why it failed, in a line; "" otherwise.
    """

    run: str
    how: Literal["succeeded", "cancelled", "failed", "lost"]
    problem: str = ""


def settled(ask: Ask, ends: Sequence[RunEnd], failed: Sequence[str]) -> str | None:
    """Return what came of a run that was asked for, "" when it did what it should.

    None when it is to be asked for again. A run that was never begun is; one that was lost is
    as well, up to three times.

    Args:
        ask: what was asked for.
        ends: its runs in the order in which they were begun.
        failed: the checks that failed on its candidate.
    """
    if failed:
        return f"the lock for {ask.trigger} failed {', '.join(failed)}; {_NOT_AGAIN}"
    if not ends:
        return None
    last = ends[-1]
    if last.how == "succeeded":
        return ""
    if last.how == "cancelled":
        return f"run {last.run} for {ask.trigger} was cancelled; {_NOT_AGAIN}"
    what = f"run {last.run} for {ask.trigger} failed" + (last.problem and f": {last.problem}")
    if last.how == "failed":
        return f"{what}; {_NOT_AGAIN}"
    return None if len(ends) < TRIES else f"{what}, after {len(ends)} tries; {_NOT_AGAIN}"


_NOT_AGAIN = "it is not tried again until something changes"


def trigger_text(changes: Sequence[Change], sight: Sight) -> str:
    """Return what moves from the current lock to a candidate, as `dagster 1.0 → 1.1 and 2 more`.

    What was lost stands first, then what a person asked for, then what has news.
    """
    lost = {each.name: each for each in sight.lost}
    news = {each.name for each in sight.usable}
    ordered = sorted(
        changes,
        key=lambda each: (each.name not in lost, not each.direct, each.name not in news, each.name),
    )
    first, *others = ordered
    text = f"{first.name} {first.versions}"
    if first.kind not in ("upgraded", "downgraded"):
        text += f" ({first.kind})"
    if first.name in lost:
        text = f"{lost[first.name]}: {text}"
    return shortened(text + (f" and {len(others)} more" if others else ""))


def listed(texts: Iterable[str], separator: str = ", ") -> str:
    """Return texts as one, the first few of them and how many there are more."""
    return first_of([*texts], _LISTED, separator)


def shortened(text: str) -> str:
    """Return a text as one line of at most 200 characters."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
