"""Choose the best of several answers: the one in which what was asked for lags least.

The rule does not depend on the order of lines. First, what the policy prefers is as new as it can
be, in the policy's order. Then all that was asked for lags as little as it can, taken together: in
days, and in releases where the days are the same. Of answers that are alike in that, the names that
come first are the newer ones. An answer in which something is newer and nothing is older is always
better, so that in the best one nothing can be newer unless something else gets older.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Lag = tuple[float, int]
"""Days between the newest version's release and this one's, and how many versions are newer."""


@dataclass(frozen=True)
class Step:
    """A version that a package could have.

    Attributes:
        at_least: the requirement of this version or a newer one, for the resolver.
        lag: never less than that of a newer step.
    """

    version: str
    at_least: str
    lag: Lag


@dataclass(frozen=True)
class Contender:
    """A package that a person asked for.

    Attributes:
        name: of the package, or of the distribution where pip was asked for it.
        steps: the versions it could have if it were alone, newest first.
    """

    name: str
    steps: tuple[Step, ...]


Places = Mapping[str, int]
"""Which step of each contender an answer has; one beyond the last for an older version."""

Clause = tuple[tuple[str, ...], ...]
"""Sets of requirements of which one holds."""


def steps(versions: Sequence[tuple[str, float | None, str]]) -> tuple[Step, ...]:
    """Return steps from (version, day of its release, at least it), newest version first.

    The day is in days since any moment. An old series may get releases after a new one: a version
    counts as old as the youngest of those that are not newer. A missing day counts as no lag.
    """
    days: list[float] = []
    youngest = None
    for _, day, _ in reversed(versions):
        if day is not None:
            youngest = day if youngest is None else max(youngest, day)
        days.append(youngest if youngest is not None else -math.inf)
    days.reverse()
    known = [each for each in days if each != -math.inf]
    oldest = min(known, default=0.0)
    days = [max(each, oldest) for each in days]
    return tuple(
        Step(version, at_least, (days[0] - days[place], place))
        for place, (version, _, at_least) in enumerate(versions)
    )


_Key = tuple[tuple[int, ...], float, int, tuple[int, ...]]


@dataclass
class BestSearch:
    """The search for the best answer: what is known, and what a better one fulfils.

    Every answer that is found rules out all in which nothing is newer, so that the search ends.

    Attributes:
        contenders: what was asked for, sorted by name.
        prefer: names that go before all others, the first most.
        found: the answers so far.
    """

    contenders: tuple[Contender, ...]
    prefer: tuple[str, ...] = ()
    found: list[Places] = field(default_factory=list)

    @property
    def best(self) -> Places:
        """The best of the answers so far."""
        return min(self.found, key=self.key)

    def key(self, places: Places) -> _Key:
        """Return what answers are ordered by, the best first."""
        rank = {name: number for number, name in enumerate(self.prefer)}
        first = sorted(self._first(), key=lambda each: rank[each.name])
        rest = [each for each in self.contenders if each.name not in rank]
        lags = [_lag(each, places) for each in rest]
        return (
            tuple(places.get(each.name, 0) for each in first),
            sum(days for days, _ in lags),
            sum(count for _, count in lags),
            tuple(places.get(each.name, 0) for each in rest),
        )

    def _first(self) -> list[Contender]:
        return [each for each in self.contenders if each.name in self.prefer]

    def better(self) -> tuple[Clause, ...]:
        """Return what an answer that may be better fulfils: one set of each of these.

        () when there can be none.
        """
        best = self.best
        if not any(best.values()):
            return ()
        clauses = [self._not_below(each) for each in self.found]
        return (*self._no_worse(best), *clauses)

    def above_best(self) -> tuple[Clause, ...]:
        """Return what an answer fulfils in which nothing is older than in the best one so far."""
        best = self.best
        if not any(best.values()):
            return ()
        kept = [
            each.steps[best[each.name]].at_least
            for each in self.contenders
            if best.get(each.name, 0) < len(each.steps)
        ]
        return (*(((each,),) for each in kept), self._not_below(best))

    def _no_worse(self, best: Places) -> tuple[Clause, ...]:
        """Return what any answer fulfils that does not lag more, all taken together."""
        _, days, _, _ = self.key(best)
        if days == math.inf or self._first():
            return ()
        bounds = {each.name: _within(each, days) for each in self.contenders}
        # At most one of them lags more than half of what they lag together.
        near = {each.name: _within(each, days / 2) for each in self.contenders}
        far = [each.name for each in self._by_lag(best) if near[each.name] != bounds[each.name]]
        alone = tuple(tuple(near[one] for one in far if one != each) for each in far)
        return (*(((each,),) for each in bounds.values()), *([alone] if len(far) > 1 else ()))

    def _by_lag(self, places: Places) -> list[Contender]:
        """Return the contenders, what lags most first."""
        key = {each.name: (_lag(each, places), each.name) for each in self.contenders}
        return sorted(self.contenders, key=lambda each: key[each.name], reverse=True)

    def _not_below(self, places: Places) -> Clause:
        """Return that something is newer than in an answer; what lags most stands first."""
        lagging = [each for each in self._by_lag(places) if places.get(each.name, 0)]
        newest = [each.steps[0].at_least for each in self.contenders]
        found = [tuple(newest), *((each.steps[0].at_least,) for each in lagging)]
        next_ones = ((each, min(places[each.name], len(each.steps)) - 1) for each in lagging)
        found += [(each.steps[place].at_least,) for each, place in next_ones]
        return tuple(dict.fromkeys(found))


def _within(contender: Contender, days: float) -> str:
    """Return the bound of those versions that lag no more than that."""
    return [step for step in contender.steps if step.lag[0] <= days][-1].at_least


def _lag(contender: Contender, places: Places) -> Lag:
    place = places.get(contender.name, 0)
    return contender.steps[place].lag if place < len(contender.steps) else (math.inf, place)
