"""A smallest set of requirements that cannot hold together, and what to relax so that they can."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement

from elt_env.errors import TimeLimitError, UnsatisfiableError
from elt_env.lock.joint import JointProblem
from elt_env.lock.joint_choice import Choice
from elt_env.lock.minimal import minimal, repairs
from elt_env.lock.problems import Problems
from elt_env.lock.settle import allowed, settled
from elt_env.machine.process import unheard
from elt_env.package.names import normalize
from elt_env.spec.conda_spec import CondaSpec
from elt_env.spec.markers import applies

_PATIENCE = 60.0  # seconds that one resolve may take


@dataclass(frozen=True)
class Unit:
    """One requirement of the spec, and which half it is of."""

    side: str
    text: str
    pip: str | None = None
    conda: CondaSpec | None = None

    def __str__(self) -> str:
        return f"{self.side}: {self.text}"

    @property
    def name(self) -> str:
        """The normalized name of what is asked for."""
        return normalize(self.conda.name if self.conda else Requirement(self.text).name)

    @property
    def loosened(self) -> Unit | None:
        """The same without its bounds; None where it has none, or is nothing but a bound."""
        if self.conda is not None:
            conda = replace(self.conda, version="", build="", fields=())
            bare = replace(self, conda=conda, text=str(conda))
        elif self.pip is None or Requirement(self.pip).url:
            return None
        else:
            requirement = Requirement(self.pip)
            extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
            text = requirement.name + extras
            bare = replace(self, pip=text, text=text)
        return None if bare == self else bare


def units_of(problem: JointProblem) -> tuple[Unit, ...]:
    """Return the requirements of both halves that count under the problem's Python."""
    spec = problem.question.spec
    pip = (each for each in problem.question.pip if applies(Requirement(each), problem.python))
    return (
        *(Unit("conda", _written(each), conda=each) for each in spec.conda),
        *(Unit("pip", each, pip=each) for each in pip),
        *(Unit("constraint", each) for each in spec.constraints),
    )


def _written(spec: CondaSpec) -> str:
    """Return a requirement of conda in words; one of several lines as these stand in the file."""
    return " and ".join(spec.lines) if len(spec.lines) > 1 else str(spec)


def limited_to(problem: JointProblem, units: Iterable[Unit]) -> JointProblem:
    """Return the problem of these requirements alone."""
    units = tuple(units)
    question = problem.question
    pip = [e.pip for e in units if e.pip and applies(Requirement(e.pip), problem.python)]
    directs = tuple(each for each in question.directs if each.requirement in pip)
    named = {each.requirement for each in directs}
    spec = replace(
        question.spec,
        conda=tuple(each.conda for each in units if each.conda),
        pip=tuple(each for each in pip if each not in named),
        constraints=tuple(each.text for each in units if each.side == "constraint"),
    )
    return problem.limited(replace(question, spec=spec, directs=directs))


def choice_of(problem: JointProblem, limit: float | None = None) -> Choice:
    """Return a choice that holds for both halves, each resolve within `limit` seconds.

    Raises: as `JointProblem.resolve`.
    """
    while True:
        choice = allowed(problem, unheard, limit=limit)
        if problem.half is None or not problem.archives:
            return choice
        if settled(problem, choice, unheard) is not None:
            return choice


def smallest_conflict(
    problems: Problems, wanted: Sequence[Unit] = (), among: Sequence[Unit] | None = None
) -> tuple[Unit, ...]:
    """Return requirements that cannot hold together, none of which can be left out.

    Args:
        problems: what is asked, under each of the Pythons.
        wanted: what holds in any case.
        among: requirements that cannot hold together; by default, all that the spec has.
    """
    core = _smallest_conflict(problems[:1], among or units_of(problems[0]), wanted)
    if len(problems) > 1 and failure(problems[1:], (*core, *wanted)) is None:
        every = dict.fromkeys(unit for each in problems for unit in units_of(each))
        core = _smallest_conflict(problems, among or tuple(every), wanted)
    return core


def _smallest_conflict(
    problems: Problems, units: Sequence[Unit], wanted: Sequence[Unit]
) -> tuple[Unit, ...]:
    rest = [each for each in units if each not in wanted]
    core = minimal(rest, lambda some: failure(problems, (*some, *wanted)) is not None)
    fixed = [each for each in units if each in wanted]
    others = [each for each in wanted if each not in units]
    if fixed and failure(problems, (*core, *others)) is None:
        core += minimal(fixed, lambda some: failure(problems, (*core, *some, *others)) is not None)
    return tuple(each for each in units if each in core)


def allowing(problem: JointProblem, units: Iterable[Unit]) -> tuple[Unit, ...]:
    """Return the requirements without which something else cannot be had.

    These are the pins of yanked versions, which nothing but a pin lets in (PEP 592).
    """
    if problem.tools.project.policy.yanked == "refuse":
        return ()
    pins = [
        (each, requirement)
        for each in units
        if each.pip and not (requirement := Requirement(each.pip)).url
        if any(one.operator in ("==", "===") for one in requirement.specifier)
    ]
    problem.pages.read(each.name for each, _ in pins)
    return tuple(
        each
        for each, requirement in pins
        for news in problem.judged(each.name)
        if "yanked" in news.reason and requirement.specifier.contains(news.version)
    )


def failure(problems: Problems, units: Iterable[Unit]) -> UnsatisfiableError | None:
    """Return the error that asking for these requirements alone ends in under the first Python.

    None where one of the Pythons has an answer.
    """
    some = tuple(units)
    first: UnsatisfiableError | None = None
    for problem in problems:
        try:
            choice_of(limited_to(problem, some))
        except UnsatisfiableError as error:
            first = first or error
        except TimeLimitError:
            return None
        else:
            return None
    return first


@dataclass(frozen=True)
class Way:
    """Requirements without which, or without the bounds of which, something is possible.

    Attributes:
        units: the requirements, as the spec has them.
        keeps: whether what they ask for is still asked for, without bounds.
        problem: what is left.
        choice: what is possible then.
    """

    units: tuple[Unit, ...]
    keeps: bool
    problem: JointProblem
    choice: Choice


def ways(problems: Problems, core: Sequence[Unit], wanted: Sequence[Unit] = ()) -> Iterator[Way]:
    """Yield the fewest requirements to loosen or else to leave out, each proven by a resolve.

    Args:
        problems: what is asked, under each of the Pythons.
        core: those that cannot hold together.
        wanted: what holds in any case; what asks for the same name is not left out.
    """
    yield from repairs(
        core,
        lambda some: _way(problems, some, wanted),
        lambda some: _next_conflict(problems, some, wanted),
    )


def _next_conflict(
    problems: Problems, some: Sequence[Unit], wanted: Sequence[Unit]
) -> tuple[Unit, ...]:
    """Return a smallest conflict of what is left without some requirements, beside these."""
    kept = [each for each in wanted if each not in some]
    left = [each for each in units_of(problems[0]) if each not in some]
    if failure(problems, (*left, *kept)) is None:
        return ()
    core = smallest_conflict(problems, kept, left)
    return tuple(each for each in core if each not in kept)


def _way(problems: Problems, some: tuple[Unit, ...], wanted: Sequence[Unit]) -> Way | None:
    kept = [each for each in wanted if each not in some]
    ways = [True] if all(each.loosened or each.side == "constraint" for each in some) else []
    if {each.name for each in some}.isdisjoint(each.name for each in kept):
        ways.append(False)
    for keeps, problem in itertools.product(ways, problems):
        left = [
            unit
            for each in units_of(problem)
            if (unit := each if each not in some else each.loosened if keeps else None)
        ]
        part = limited_to(problem, (*left, *kept))
        try:
            return Way(some, keeps, part, choice_of(part, _PATIENCE))
        except (UnsatisfiableError, TimeLimitError):
            continue
    return None
