"""Why the two halves have no common answer: a smallest set of requirements, and what they need."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import overload

from packaging.requirements import Requirement

from elt_env.errors import (
    CondaUnsatisfiableError,
    DisagreementError,
    EltEnvError,
    Fact,
    NetworkError,
    NoWheelError,
    PackageNotFoundError,
    PipConflictError,
    TimeLimitError,
    ToolError,
    UnsatisfiableError,
)
from elt_env.model.conda_spec import CondaSpec
from elt_env.model.markers import applies
from elt_env.model.minimal import minimal
from elt_env.model.names import normalize
from elt_env.stages.facts import facts_of, plain
from elt_env.stages.joint import Choice, JointProblem
from elt_env.stages.lacks import Lack, lack_of_conda, lack_of_owned, lack_of_pip, sentence
from elt_env.stages.question import Question
from elt_env.stages.settle import allowed, settled
from elt_env.stages.solve import (
    CondaAnswer,
    as_requirement,
    remote_channels,
    solve,
    solve_request,
)
from elt_env.tools.http_client import unheard
from elt_env.tools.interpreters import find_interpreter
from elt_env.tools.pip.uv_errors import not_found
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox

_LINES = 15
_UNITS = 7
_REMEDIES = 3
_TRIES = 12  # of requirements to do without, at the end of a lock that failed
_PATIENCE = 60.0  # seconds that one of them may take

Problems = Sequence[JointProblem]
"""What is asked of both halves, under each of the Pythons that it could be locked for."""


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
        *(Unit("conda", str(each), conda=each) for each in spec.conda),
        *(Unit("pip", each, pip=each) for each in pip),
        *(Unit("constraint", each) for each in spec.constraints),
    )


def limited_to(problem: JointProblem, units: Iterable[Unit]) -> JointProblem:
    """Return the problem of these requirements alone."""
    units = tuple(units)
    question = problem.question
    pip = [each.pip for each in units if each.pip]
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
    problems: Problems, units: Sequence[Unit], wanted: Sequence[Unit] = ()
) -> tuple[Unit, ...]:
    """Return requirements that cannot hold together, none of which can be left out.

    Args:
        problems: what is asked, under each of the Pythons.
        units: requirements that cannot hold together.
        wanted: what holds in any case.
    """
    core = _smallest_conflict(problems[:1], units, wanted)
    if len(problems) > 1 and failure(problems[1:], (*core, *wanted)) is None:
        core = _smallest_conflict(problems, units, wanted)
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
    if problem.toolbox.policy.yanked == "refuse":
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


def ways(
    problems: Problems,
    units: Sequence[Unit],
    core: Sequence[Unit],
    wanted: Sequence[Unit] = (),
) -> Iterator[Way]:
    """Yield the fewest requirements to loosen or else to leave out, each proven by a resolve.

    Args:
        problems: what is asked, under each of the Pythons.
        units: all requirements.
        core: those that cannot hold together.
        wanted: what holds in any case; what asks for the same name is not left out.
    """
    for count in (1, 2):
        found = False
        for some in itertools.combinations(core, count):
            way = _way(problems, units, some, wanted)
            if way is not None:
                found = True
                yield way
        if found:
            return


def _way(
    problems: Problems,
    units: Sequence[Unit],
    some: tuple[Unit, ...],
    wanted: Sequence[Unit],
) -> Way | None:
    kept = [each for each in wanted if each not in some]
    loosened = [each.loosened if each in some else each for each in units]
    tries = []
    if all(each.loosened or each.side == "constraint" for each in some):
        tries.append((True, tuple(each for each in loosened if each)))
    if {each.name for each in some}.isdisjoint(each.name for each in kept):
        tries.append((False, tuple(each for each in units if each not in some)))
    for (keeps, left), problem in ((each, problem) for each in tries for problem in problems):
        part = limited_to(problem, (*left, *kept))
        try:
            return Way(some, keeps, part, choice_of(part, _PATIENCE))
        except (UnsatisfiableError, TimeLimitError):
            continue
    return None


@dataclass(frozen=True)
class Explanation:
    """Why some requirements cannot hold together.

    Attributes:
        units: a smallest set of them.
        facts: who needs what.
        lacks: of what nothing can be had; of what the spec itself asks for first.
        remedy: what helps against these; "" where nothing does.
    """

    units: tuple[Unit, ...]
    facts: tuple[Fact, ...]
    lacks: tuple[Lack, ...]
    remedy: str

    @property
    def because(self) -> tuple[str, ...]:
        """The reasons, a line each."""
        lacks = [each.text for each in self.lacks if each.text]
        shown = [
            str(each)
            for each in self.facts
            if each.owner != "spec"
            and not (each.need == "python" and f"{each.needy} needs Python" in " ".join(lacks))
        ]
        return tuple(dict.fromkeys([*shown, *lacks]))


def explanation_of(
    problem: JointProblem,
    core: Sequence[Unit],
    error: UnsatisfiableError,
    wanted: Sequence[Unit] = (),
) -> Explanation:
    """Return what an error that a smallest set of requirements ends in says, in plain terms.

    Args:
        problem: what is asked.
        core: the requirements.
        error: what they end in, together with `wanted`.
        wanted: what holds in any case.
    """
    _find_index(problem, core)
    part = limited_to(problem, (*core, *wanted))
    facts = facts_of(part, error.explanation)
    absent = {*not_found(error.explanation), *(each.name for each in _absent(problem, core))}
    direct = dict.fromkeys(_lack_of_unit(part, each, absent) for each in (*wanted, *core))
    deep = [
        lack_of_conda(part, f"{each.need} {each.bound}".strip())
        if each.owner == "conda" and each.verb == "needs" and part.half
        else lack_of_owned(problem, each.need, each.bound)
        or lack_of_pip(part, each.need, each.bound, absent)
        for each in facts
        if each.owner != "conda" or each.verb == "needs"
    ]
    first = tuple(each for each in direct if each)
    lacks = tuple(dict.fromkeys([*first, *(each for each in deep if each)]))
    telling = lacks if len(core) <= 1 else first
    remedies = dict.fromkeys(each.remedy for each in telling if each.remedy)
    remedy = " ".join([*remedies][: _REMEDIES if len(first) > 1 else 1])
    return Explanation(tuple(core), (*_asked(part, core), *facts), lacks, remedy)


def _find_index(problem: JointProblem, core: Iterable[Unit]) -> None:
    """Learn by a resolve where the resolver looks, if nothing else says so."""
    for each in core:
        bare = each.loosened or each
        if not problem.pages.is_lost or failure([problem], [bare]) is None:
            return


def _lack_of_unit(problem: JointProblem, unit: Unit, absent: Collection[str]) -> Lack | None:
    if unit.conda is not None and problem.half is not None:
        text = str(replace(unit.conda, channel="", subdir=""))
        return lack_of_conda(problem, text, direct=True)
    requirement = Requirement(as_requirement(unit.conda) if unit.conda else unit.text)
    if requirement.url:
        return None
    name, bound = normalize(requirement.name), str(requirement.specifier)
    owned = lack_of_owned(problem, name, bound)
    return owned or lack_of_pip(problem, name, bound, absent, direct=True)


def _asked(problem: JointProblem, core: Iterable[Unit]) -> list[Fact]:
    """Return what the spec itself asks of distributions that conda carries."""
    carried = problem.shown.stub_names
    found = []
    for each in core:
        requirement = None if each.conda else Requirement(each.text)
        if requirement and requirement.name in carried and str(requirement.specifier):
            text, bound = str(requirement), str(requirement.specifier)
            found.append(Fact("the spec", text, requirement.name, bound, "spec", "asks for"))
    return found


def explained(
    problems: Problems, error: UnsatisfiableError, say: Say, whole: Problems | None = None
) -> EltEnvError:
    """Return the error that says which requirements of the spec cannot hold together, and why.

    Args:
        problems: what is asked under each of the Pythons, maybe of one half only.
        error: what that ends in.
        say: told all that the tool said.
        whole: what is asked of both halves; None where `problems` are that.
    """
    problem = problems[0]
    tool = "conda" if isinstance(error, CondaUnsatisfiableError) else "pip"
    for line in error.explanation.splitlines() if error.explanation != error.problem else ():
        say(f"{tool}: {plain(problem, line)}")
    units = units_of(problem)
    pins = allowing(problem, units)
    missing = _absent(problem, units)
    core = missing or smallest_conflict(problems, units, pins)
    if whole and problem.half and not missing and len(core) > 1:
        # What conda's packages carry may need what nobody has.
        less = smallest_conflict(whole, core, pins)
        if len(less) < len(core):
            core, problems, problem = less, whole, whole[0]
    again = failure(problems, (*core, *pins)) if core else None
    if again is None:
        return error
    found = explanation_of(problem, core, again, pins)
    result = _kind(found)(_text(problem, found), _remedy(whole or problems, found), found.facts)
    result.explanation = again.explanation
    return result


def _absent(problem: JointProblem, units: Sequence[Unit]) -> tuple[Unit, ...]:
    """Return the requirements on what no channel and no index has."""
    conda = [each for each in units if each.conda and problem.half]
    lacks = ((each, _lack_of_unit(problem, each, ())) for each in conda)
    found = [each for each, lack in lacks if lack and lack.kind == "absent"]
    pip = {each.name: each for each in units if each.pip and not Requirement(each.pip).url}
    missing = problem.pages.missing(pip.keys() - problem.shown.stub_names)
    return (*found, *(each for name, each in pip.items() if name in missing))


def _kind(found: Explanation) -> type[UnsatisfiableError]:
    sides = {each.side == "conda" for each in found.units}
    if len(sides) > 1:
        return DisagreementError
    kinds = {each.kind for each in found.lacks}
    if kinds == {"absent"}:
        return PackageNotFoundError
    if sides == {True}:
        return CondaUnsatisfiableError
    is_wheel = len(found.units) == 1 and kinds == {"wheel"}
    return NoWheelError if is_wheel else PipConflictError


def _text(problem: JointProblem, found: Explanation) -> str:
    target = problem.question.target.name
    core = found.units
    sides = {each.side == "conda" for each in core}
    if len(sides) > 1:
        shared = problem.shown.stub_names
        needs = {each.need for each in found.facts if each.owner != "conda"}
        on = f" on {', '.join(sorted(needs & shared))}" if needs & shared else ""
        head = f"conda and pip cannot agree{on} for {target}"
    else:
        head = f"{'conda' if sides == {True} else 'pip'} finds no solution for {target}"
    ending = "this requirement of the spec cannot be met."
    if len(core) > 1:
        met = all(each.kind == "absent" for each in found.lacks) and found.lacks
        what = "be met" if met else "hold together"
        ending = f"these requirements of the spec cannot {what}."
    lines = [f"{head}: {ending}"]
    lines += [f"  {each}" for each in core[:_UNITS]]
    lines += [f"  and {len(core) - _UNITS} more"] if len(core) > _UNITS else []
    room = _LINES - len(lines) - 2
    because = found.because
    if len(because) > room:
        # What nothing can be had of says most.
        last = [each.text for each in found.lacks if each.text][: room // 2]
        because = (*[each for each in because if each not in last][: room - len(last)], *last)
    return "\n".join(
        [*lines, *(["because"] if because else []), *(f"  {each}" for each in because)]
    )


def _remedy(problems: Problems, found: Explanation) -> str:
    own = found.remedy
    problem = problems[0]
    source = problem.question.spec.source
    units = units_of(problem)
    pins = allowing(problem, units)
    tried = itertools.islice(ways(problems, units, found.units, pins), _TRIES)
    possible = [each for each in tried if each.keeps or not own]
    if not possible:
        one = "it" if len(found.units) == 1 else "one of them"
        return own or f"Change {one} in {source}; there is more in it that cannot hold together."
    if len(possible[0].units) > 1:
        both = _shown(possible[0].units, " and ")
        text = f"{'Loosen' if possible[0].keeps else 'Leave out'} {both} in {source}."
    else:
        loosen = [each.units[0] for each in possible if each.keeps]
        leave = [each.units[0] for each in possible if not each.keeps]
        parts = [f"loosen {_shown(loosen, ' or ')}"] if loosen else []
        parts += [f"leave out {_shown(leave, ' or ')}"] if leave else []
        text = sentence([f"{' or '.join(parts)} in {source}"])
    return f"{own} Or {text[:1].lower()}{text[1:]}" if own else text


def _shown(units: Iterable[Unit], joint: str) -> str:
    return joint.join(f"'{each}'" for each in units)


def solved(question: Question, toolbox: Toolbox, say: Say) -> CondaAnswer:
    """Return conda's own answer to a question.

    Raises: as `solve`; where there is no answer, the error says which requirements of the spec
        cannot hold together.
    """
    try:
        return solve(question, toolbox, say)
    except UnsatisfiableError as error:
        try:
            raise _explained_alone(question, error, toolbox, say) from error
        except NetworkError:
            raise error from None


def _explained_alone(
    question: Question, error: UnsatisfiableError, toolbox: Toolbox, say: Say
) -> EltEnvError:
    """Return the explained error for conda's half alone."""
    alone = replace(question, spec=replace(question.spec, pip=(), constraints=()), directs=())
    if isinstance(error.__cause__, UnsatisfiableError):  # the host channel's packages are wheels
        whole = host_problem(question, toolbox, say)
        return explained([whole.limited(alone)], error, say, [whole])
    try:
        problems = [*remote_problems(alone, toolbox, say, archives=False)]
    except CondaUnsatisfiableError as lacking:
        return lacking
    return explained(problems, error, say, _OnDemand(remote_problems(question, toolbox, say)))


class _OnDemand(Sequence[JointProblem]):
    """Problems that are made when they are looked at: each reads the archives of its packages."""

    def __init__(self, more: Iterator[JointProblem]) -> None:
        self._more = more
        self._made: list[JointProblem] = []

    @overload
    def __getitem__(self, place: int) -> JointProblem: ...
    @overload
    def __getitem__(self, place: slice) -> list[JointProblem]: ...
    def __getitem__(self, place: int | slice) -> JointProblem | list[JointProblem]:
        if isinstance(place, slice):
            return self._made[: len(self)][place]
        return next(itertools.islice(self, place, None))

    def __len__(self) -> int:
        self._made += self._more
        return len(self._made)

    def __iter__(self) -> Iterator[JointProblem]:
        place = 0
        while True:
            if place == len(self._made):
                new = next(self._more, None)
                if new is None:
                    return
                self._made.append(new)
            yield self._made[place]
            place += 1


def host_problem(question: Question, toolbox: Toolbox, say: Say) -> JointProblem:
    """Return what is asked of both halves where the host channel stands in for conda's channels.

    A Python that this machine has not is taken for the first one of its minor.
    """
    asked = solve_request(question, (toolbox.host_channel.url,), "host", toolbox)
    try:
        python = find_interpreter(question.target.python).version
    except ToolError as error:
        python = f"{question.target.python}.0"
        say(f"WARNING: {error.problem.splitlines()[0]} What follows is about Python {python}.")
    return JointProblem(question, python, toolbox, say, None, asked)


def remote_problems(
    question: Question, toolbox: Toolbox, say: Say, *, archives: bool = True
) -> Iterator[JointProblem]:
    """Yield what is asked of both halves, under each of the target's Pythons on the channels.

    Raises:
        CondaUnsatisfiableError: the channels have no such Python.
        ChannelUnreachableError, NetworkError: a channel does not answer, or not with repodata.
    """
    channels = remote_channels(question.spec, toolbox)
    asked = solve_request(question, channels, "remote", toolbox)
    offered = toolbox.conda.offered(asked)
    wanted = [str(each) for each in asked.specs if each.name == "python"]
    fitting = frozenset.intersection(*map(offered.matching, wanted))
    builds = offered.builds("python")
    for python in dict.fromkeys(builds[each].version for each in sorted(fitting)):
        yield JointProblem(question, python, toolbox, say, offered, asked, archives=archives)
    if not fitting:
        text = f"conda finds no Python for {question.target.name}: {' and '.join(wanted)}"
        known = ", ".join(offered.versions("python")[:_UNITS])
        raise CondaUnsatisfiableError(
            f"{text}\n  the channels have {known or 'none at all'}",
            f"Ask for one that is there in {question.spec.source}, or add the channel that has it.",
        )
