"""Why a package is in a lock, and what stands in the way of another version of it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement

from elt_env.errors import EltEnvError, PolicyError, UnsatisfiableError
from elt_env.model.lock import Lock, Package
from elt_env.model.names import normalize
from elt_env.model.target import Target
from elt_env.stages.conflict import Unit, facts_of, failure, plain, smallest_conflict, units_of
from elt_env.stages.directs import prepare
from elt_env.stages.joint import JointProblem, Part
from elt_env.stages.joint_shelf import named_in
from elt_env.stages.negotiate import joint_problem
from elt_env.stages.question import ask
from elt_env.stages.solve import solve
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox
from elt_env.tools.wheel_metadata import read_wheel_metadata

_MOST_CHAINS = 20
_LINES = 8


def why(lock: Lock, name: str, toolbox: Toolbox) -> tuple[str, ...]:
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
    bounds = sorted(_bounds(package, packages, toolbox))
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


def _bounds(package: Package, packages: dict[str, Package], toolbox: Toolbox) -> Iterator[str]:
    names = {package.name}
    names |= {name for name, _ in (package.conda.distributions if package.conda else ())}
    for needy in (packages[each] for each in package.required_by if each in packages):
        who = f"{needy.name} {needy.version} ({needy.manager}) needs"
        for line in needy.conda.depends if needy.conda else ():
            if named_in(line) == package.name:
                yield f"{who} {line}"
        if needy.conda is None and needy.file_name.endswith(".whl"):
            wheel = toolbox.downloads.fetch(needy.url, needy.sha256)
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
        changes: what else would be another version then, as `dagster 1.13.27 → 1.12.11`.
    """

    dropped: tuple[str, ...]
    changes: tuple[str, ...]


@dataclass(frozen=True)
class WhyNot:
    """What stands in the way of something.

    Attributes:
        asked: what was asked for, as `pandas>=3`.
        units: a smallest set of requirements that it cannot hold together with; () when it can.
        facts: who needs what.
        relaxations: the fewest requirements without which it is possible.
        changes: what would be another version, where it is possible.
    """

    asked: str
    units: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    relaxations: tuple[Relaxation, ...] = ()
    changes: tuple[str, ...] = ()

    @property
    def lines(self) -> tuple[str, ...]:
        """The answer for a person."""
        if not self.units:
            head = f"{self.asked} is possible"
            rest = self.changes or ("it is what is locked",)
            return (f"{head}; then:", *(f"  {each}" for each in rest))
        ways = [line for each in self.relaxations for line in _way(each)]
        return (
            f"{self.asked} cannot be had with these requirements of the spec:",
            *(f"  {each}" for each in self.units),
            *(("because", *(f"  {each}" for each in self.facts)) if self.facts else ()),
            *(ways or ("no one or two of them left out make it possible",)),
        )


def _way(relaxation: Relaxation) -> Iterator[str]:
    yield f"possible without: {', '.join(relaxation.dropped)}; then:"
    yield from (f"  {each}" for each in relaxation.changes[:_LINES])
    if len(relaxation.changes) > _LINES:
        yield f"  and {len(relaxation.changes) - _LINES} more"


def why_not(target: Target, asked: str, toolbox: Toolbox, say: Say) -> WhyNot:
    """Return what stands in the way of a requirement (PEP 508), or of the target's own Python.

    Args:
        target: whose spec it is about.
        asked: as `pandas>=3`; "" asks for nothing but the target's Python.
        toolbox: the tools.
        say: told what is done.

    Raises:
        UnsatisfiableError: conda alone has no answer.
        NetworkError: a channel or an index does not answer.
    """
    spec = toolbox.project.spec(target.environment)
    question = prepare(ask(target, spec, toolbox, upgrade=None), toolbox, say)
    problem = joint_problem(question, solve(question, toolbox, say), toolbox, say)
    more = [_wanted(problem, asked)] if asked else []
    about = normalize(Requirement(asked).name) if asked else ""
    units = units_of(problem)
    shown = asked or f"Python {target.python}"
    locked = toolbox.store.current_lock(target)
    error = failure(problem, units, more)
    if error is None:
        return WhyNot(shown, changes=_changes(problem, units, more, locked))
    core = smallest_conflict(problem, units, more)
    again = failure(problem, core, more)
    text = again.explanation if isinstance(again, UnsatisfiableError) else error.problem
    facts = facts_of(problem, text, core)[:_LINES]
    return WhyNot(
        shown,
        tuple(map(str, core)) or (plain(problem, _first(error)),),
        tuple(map(str, facts)),
        tuple(_relaxations(problem, units, core, more, locked, about)),
    )


def _first(error: EltEnvError) -> str:
    return error.problem.splitlines()[0]


def _wanted(problem: JointProblem, asked: str) -> str:
    """Return a requirement as the resolver reads it: on a distribution, or on a conda package."""
    requirement = Requirement(asked)
    name = normalize(requirement.name)
    shelf, half = problem.shelf(), problem.half
    if half is not None and name in half.reachable and name not in shelf.stub_names:
        return shelf.requirement(f"{name} {requirement.specifier}".strip())
    requirement.name = name
    return str(requirement)


def _relaxations(  # noqa: PLR0913, PLR0917  # the parts of one question
    problem: JointProblem,
    units: Sequence[Unit],
    core: Sequence[Unit],
    more: Sequence[str],
    locked: Lock | None,
    about: str,
) -> Iterator[Relaxation]:
    for count in (1, 2):
        found = False
        for dropped in itertools.combinations(core, count):
            left = [_loosened(each) if each in dropped else each for each in units]
            ways = [[each for each in left if each]]
            if not any(_name(each) == about for each in dropped):
                ways.append([each for each in units if each not in dropped])
            for some in ways:
                if failure(problem, some, more) is None:
                    found = True
                    changes = _changes(problem, some, more, locked)
                    yield Relaxation(tuple(map(str, dropped)), changes)
                    break
        if found:
            return


def _name(unit: Unit) -> str:
    return normalize(unit.conda.name if unit.conda else Requirement(unit.text).name)


def _loosened(unit: Unit) -> Unit | None:
    """Return a requirement without its bounds; None of a constraint."""
    if unit.conda is not None:
        return replace(unit, conda=replace(unit.conda, version="", build=""))
    if unit.pip is None:
        return None
    requirement = Requirement(unit.pip)
    extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
    bare = requirement.name + extras
    return replace(unit, pip=bare, text=bare)


def _changes(
    problem: JointProblem, units: Sequence[Unit], more: Sequence[str], locked: Lock | None
) -> tuple[str, ...]:
    part = Part(
        tuple(each.pip for each in units if each.pip),
        tuple(each.conda for each in units if each.conda),
        (*(each.text for each in units if each.side == "constraint"), *more),
    )
    choice = problem.resolve(lambda _: None, part=part)
    now = {each.name: each.version for each in choice.resolved}
    half = problem.half
    if half is not None:
        now |= {name: half.build(name, number).version for name, number in choice.builds.items()}
    before = {each.name: each.version for each in locked.packages} if locked else {}
    return tuple(
        f"{name} {before.get(name, 'none')} → {version}"
        for name, version in sorted(now.items())
        if before.get(name) != version and name in before
    )
