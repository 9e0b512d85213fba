"""Explain why a package is in a lock, and what keeps another version of it out."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from packaging.requirements import Requirement

from elt_env.errors import ChannelUnreachableError, PolicyError, UnsatisfiableError
from elt_env.lock.conflict import explanation_of
from elt_env.lock.core import (
    Unit,
    allowing,
    choice_of,
    failure,
    limited_to,
    smallest_conflict,
    units_of,
    ways,
)
from elt_env.lock.diff_facts import is_final
from elt_env.lock.directs import prepare
from elt_env.lock.joint import JointProblem
from elt_env.lock.joint_choice import Choice
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.problems import host_problem, remote_problems
from elt_env.lock.reasons import Reasons
from elt_env.lock.request import LockRequest, ask
from elt_env.lock.stand_in import is_distribution
from elt_env.lockfile.changes import is_older
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say
from elt_env.package.names import named_in, normalize
from elt_env.package.target import Target
from elt_env.python.wheel_metadata import read_wheel_metadata
from elt_env.spec.conda_bounds import from_pep440
from elt_env.spec.conda_spec import CondaSpec

if TYPE_CHECKING:
    from elt_env.index.download import Downloads

_MOST_CHAINS = 20
_LINES = 4
_WAYS = 3


def why(lock: Lock, name: str, downloads: Downloads) -> tuple[str, ...]:
    """Return the lines that say who brought a package into a lock, and what bounds it.

    Raises:
        PolicyError: it is not in the lock.
        NetworkError: a wheel whose requirements are asked for cannot be had.
    """
    owners = {
        distribution: each.name
        for each in lock.conda
        for distribution, _ in (each.conda.distributions if each.conda else ())
    }
    packages: dict[str, Package] = {each.name: each for each in lock.packages}
    wanted = name if name in packages else owners.get(normalize(name), normalize(name))
    if wanted not in packages:
        raise PolicyError(
            f"'{name}' is not in the lock of {lock.target.name}.",
            f"See what is with: elt-env show {lock.target.name} --packages",
        )
    package = packages[wanted]
    chains = list(itertools.islice(_chains(package, packages, ()), _MOST_CHAINS))
    shown = [" → ".join(f"{each.name} {each.version}" for each in chain) for chain in chains]
    bounds = sorted(_bounds(package, packages, downloads))
    asked = [each for each in lock.requirements if _is_about(each, wanted)]
    return (
        f"{package.name} {package.version} ({package.manager}) is in {lock.target.name}",
        *(f"  asked for in the spec: {each}" for each in asked),
        *(f"  {each}" for each in sorted(shown) if " → " in each),
        *(("bounds",) if bounds else ()),
        *(f"  {each}" for each in bounds),
    )


def _chains(
    package: Package, packages: dict[str, Package], below: tuple[Package, ...]
) -> Iterator[tuple[Package, ...]]:
    """Yield the ways from what was asked for to a package."""
    way = (package, *below)
    if package.requested:
        yield way
    for name in package.required_by:
        if name in packages and packages[name] not in way:
            yield from _chains(packages[name], packages, way)


def _bounds(package: Package, packages: dict[str, Package], downloads: Downloads) -> Iterator[str]:
    names = {package.name}
    names |= {name for name, _ in (package.conda.distributions if package.conda else ())}
    for needy in (packages[each] for each in package.required_by if each in packages):
        who = f"{needy.name} {needy.version} ({needy.manager}) needs"
        for line in needy.conda.depends if needy.conda else ():
            if named_in(line) == package.name:
                yield f"{who} {line}"
        if needy.conda is None and needy.file_name.endswith(".whl"):
            wheel = downloads.fetch(needy.url, needy.sha256)
            for each in read_wheel_metadata(wheel).requires:
                if normalize(each.name) in names:
                    yield f"{who} {each}"


def _is_about(line: str, name: str) -> bool:
    side, _, text = line.partition(": ")
    return side in ("conda", "pip") and normalize(named_in(text.partition("[")[0])) == normalize(
        name
    )


@dataclass(frozen=True)
class Relaxation:
    """Requirements without which something is possible, proven by a resolve.

    Attributes:
        dropped: the requirements, as the spec has them.
        keeps: whether they may stay without their bounds.
        changes: what else would be another version then, as `dagster 1.13.27 → 1.12.11`.
    """

    dropped: tuple[str, ...]
    keeps: bool
    changes: tuple[str, ...]


@dataclass(frozen=True)
class WhyNot:
    """What stands in the way of something.

    Attributes:
        asked: what was asked for, as `pandas>=3`.
        possible: whether it can be had with all that the spec asks for.
        units: a smallest set of requirements that it cannot hold together with; () where it can,
            and where it can be had with nothing at all.
        facts: who needs what.
        relaxations: the fewest requirements without which it is possible.
        changes: what would be another version, where it is possible.
        remedy: what else would help; "" where nothing is known.
        beside: the target whose lock the changes are counted from; "" where there is none.
    """

    asked: str
    possible: bool
    units: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    relaxations: tuple[Relaxation, ...] = ()
    changes: tuple[str, ...] = ()
    remedy: str = ""
    beside: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer for a person, at most 15 lines: what stands in the way, why, what helps."""
        if self.possible:
            if not self.changes:
                same = f", and is what is locked for {self.beside}" if self.beside else ""
                return (f"{self.asked} is possible{same}",)
            return (
                f"{self.asked} is possible; beside the lock of {self.beside} then changes:",
                *_few(self.changes, 2 * _LINES),
            )
        head = f"{self.asked} cannot be had"
        ways = [_way(each) for each in self.relaxations][:_WAYS]
        none = ["no way was found to have it with less of the spec"] if self.units else []
        return (
            f"{head} with these requirements of the spec:" if self.units else f"{head} at all",
            *_few(self.units, _LINES),
            *(("because", *_few(self.facts, _LINES)) if self.facts else ()),
            *(ways or none),
            *((self.remedy,) if self.remedy else ()),
        )


def _way(relaxation: Relaxation) -> str:
    names = ", ".join(relaxation.dropped)
    what = f"without the bounds of {names}" if relaxation.keeps else f"without {names}"
    changes = [each.strip() for each in _few(relaxation.changes, _LINES)]
    return f"possible {what}; then: {', '.join(changes) or 'nothing else changes'}"


def _few(lines: Sequence[str], most: int) -> Iterator[str]:
    shown = most if len(lines) <= most else most - 1
    yield from (f"  {each}" for each in lines[:shown])
    if len(lines) > shown:
        yield f"  and {len(lines) - shown} more"


def why_not(
    target: Target, asked: str, tools: LockTools, say: Say, beside: Target | None = None
) -> WhyNot:
    """Return what stands in the way of a requirement (PEP 508), or of the target's own Python.

    Args:
        target: whose spec it is about.
        asked: as `pandas>=3`; "" asks for nothing but the target's Python.
        tools: those that make its lock.
        say: told what is done.
        beside: whose lock the changes are counted from where the target has none.

    Raises:
        CondaUnsatisfiableError: the channels have no such Python.
        NetworkError: a channel or an index does not answer.
    """
    spec = tools.project.spec(target.environment)
    question = prepare(
        ask(target, spec, tools.project.policy, tools.store.now, upgrade=None),
        tools.project,
        tools.files,
        say,
    )
    shown = asked or f"Python {target.python}"
    locked = tools.store.current_lock(target)
    if locked is None and beside is not None:
        locked = tools.store.current_lock(beside)
    name = locked.target.name if locked else ""
    failed: list[_Refused] = []
    for problem in _problems(question, tools, say):
        wanted = tuple(_wanted(problem, each, locked) for each in filter(None, [asked]))
        whole = limited_to(problem, (*units_of(problem), *wanted))
        try:
            changes = _changes(whole, choice_of(whole), locked)
            return WhyNot(shown, possible=True, changes=changes, beside=name)
        except UnsatisfiableError as error:
            failed.append(_Refused(problem, wanted, error))
    return _explained(shown, failed, locked)


class _Refused(NamedTuple):
    """A problem that has no answer with what is wanted."""

    problem: JointProblem
    wanted: tuple[Unit, ...]
    error: UnsatisfiableError


def _explained(asked: str, failed: Sequence[_Refused], locked: Lock | None) -> WhyNot:
    """Return what stands in the way: by the first problem, as far as it does in all of them."""
    problem, wanted, error = failed[0]
    problems = [each.problem for each in failed]
    wanted = (*wanted, *allowing(problem, units_of(problem)))
    core = smallest_conflict(problems, wanted)
    found = explanation_of(problem, core, failure(problems, (*core, *wanted)) or error, wanted)
    return WhyNot(
        asked,
        possible=False,
        units=tuple(map(str, core)),
        facts=found.because,
        relaxations=tuple(
            Relaxation(
                tuple(map(str, each.units)), each.keeps, _changes(each.problem, each.choice, locked)
            )
            for each in ways(problems, core, wanted)
        ),
        remedy=found.remedy,
        beside=locked.target.name if locked else "",
    )


def _problems(question: LockRequest, tools: LockTools, say: Say) -> Iterator[JointProblem]:
    """Yield what is asked of both halves, under each of the Pythons that could be taken."""
    say(f"why-not: looking at what there is for {question.target}")
    try:
        yield from remote_problems(question, tools, say)
    except ChannelUnreachableError as error:
        if tools.project.policy.channel_fallback == "none":
            raise
        say(
            f"{error.headline}; taking the HOST CHANNEL in its place",
            logging.WARNING,
        )
        if not all(is_distribution(each.name) for each in question.spec.conda):
            raise
        yield host_problem(question, tools, say)


def _wanted(problem: JointProblem, asked: str, locked: Lock | None) -> Unit:
    """Return what was asked for: of conda, or of pip, or a bound where something brings it."""
    requirement = Requirement(asked)
    name = requirement.name = normalize(requirement.name)
    shelf, half = problem.shown, problem.half
    if half is not None and name in half.reachable and name not in shelf.stub_names:
        return Unit("asked", asked, conda=CondaSpec(name, from_pep440(requirement.specifier)))
    known = {each.name for each in units_of(problem)} | shelf.stub_names
    known |= {each.name for each in locked.packages} if locked else set()
    if name in known and not requirement.extras:
        return Unit("constraint", str(requirement))
    return Unit("asked", str(requirement), pip=str(requirement))


def _changes(problem: JointProblem, choice: Choice, locked: Lock | None) -> tuple[str, ...]:
    """Return what is another version in a choice than in a lock."""
    now = {each.name: each.version for each in choice.resolved}
    half = problem.half
    if half is not None:
        now |= {name: half.build(name, number).version for name, number in choice.builds.items()}
    before = {each.name: each for each in locked.packages} if locked else {}
    moved = [each for each in sorted(before) if before[each].version != now.get(each, "")]
    moved.sort(key=lambda each: not before[each].requested)
    found = []
    for each in (each for each in moved if each in now):
        package = before[each]
        older = package.requested and is_older(now[each], package.version)
        reason = Reasons(problem, choice).reason(each, package.version) if older else ""
        because = f", since {reason}" if reason and not reason.startswith("the spec ") else ""
        early = is_final(package.version) and not is_final(now[each])
        told = ", a pre-release, since nothing final may be taken" if early else ""
        found.append(f"{each} {package.version} → {now[each]}{told}{because}")
    return tuple(found)
