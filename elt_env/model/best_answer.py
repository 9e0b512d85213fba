"""Which of several answers is the best: how far what was asked for lags behind its newest.

The rule does not depend on the order of lines. First, what the policy prefers is as new as it can
be, in the policy's order. Then what lags most lags as little as it can, then what lags most of the
rest, and so on. Where two could change places, the one whose name comes first is the newer one. An
answer in which something is newer and nothing is older is always better, so that in the best one
nothing can be newer unless something else gets older.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

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


def better(
    contenders: Sequence[Contender], places: Places, prefer: Sequence[str] = ()
) -> tuple[tuple[str, ...], ...]:
    """Return what an answer that is better than the given one fulfils: any of these sets.

    The sets that change most stand first. () when every contender has its newest version.

    Args:
        contenders: what was asked for, in any order.
        places: what the answer has of them.
        prefer: names that go before all others, the first most.
    """
    rank = {name: number for number, name in enumerate(prefer)}
    order = sorted((each for each in contenders if each.steps), key=lambda each: each.name)
    first = sorted((each for each in order if each.name in rank), key=lambda each: rank[each.name])
    rest = [each for each in order if each.name not in rank]
    if all(places[each.name] == 0 for each in order):
        return ()
    found = [tuple(each.steps[0].at_least for each in order)]
    for number, each in enumerate(first):
        if places[each.name]:
            found.append((*_kept(first[:number], places), _newer(each, places)))
    kept = _kept(first, places)
    lagging = [each for each in rest if places[each.name]]
    lagging.sort(key=lambda each: (_lag(each, places), each.name), reverse=True)
    found += [(*kept, *_without(each, rest, places)) for each in lagging]
    for each in lagging:
        found += [(*kept, *some) for some in _swaps(each, rest, places)]
    return tuple(dict.fromkeys(found))


def _without(lagging: Contender, rest: Sequence[Contender], places: Places) -> Iterator[str]:
    """Yield that one is newer, and that none gets to lag as much that did not before."""
    limit = _lag(lagging, places)
    yield _newer(lagging, places)
    for each in rest:
        if each is lagging:
            continue
        if _lag(each, places) >= limit:
            yield from _kept([each], places)
        else:
            yield next(one.at_least for one in reversed(each.steps) if one.lag < limit)


def _swaps(
    lagging: Contender, rest: Sequence[Contender], places: Places
) -> Iterator[tuple[str, ...]]:
    """Yield that one is newer, and one with a later name lags as much in its place."""
    limit = _lag(lagging, places)
    others = [each for each in rest if each is not lagging]
    before = [each for each in others if each.name < lagging.name]
    for other in others:
        step = next((one for one in other.steps if one.lag == limit), None)
        if other.name < lagging.name or step is None or _lag(other, places) >= limit:
            continue
        third = [each for each in others if each is not other]
        bounds = _without(lagging, [lagging, *third], places)
        yield tuple(dict.fromkeys([*bounds, *_kept(before, places), step.at_least]))


def _newer(contender: Contender, places: Places) -> str:
    return contender.steps[min(places[contender.name], len(contender.steps)) - 1].at_least


def _kept(contenders: Iterable[Contender], places: Places) -> tuple[str, ...]:
    return tuple(
        each.steps[places[each.name]].at_least
        for each in contenders
        if places[each.name] < len(each.steps)
    )


def _lag(contender: Contender, places: Places) -> Lag:
    place = places[contender.name]
    return contender.steps[place].lag if place < len(contender.steps) else (math.inf, place)
