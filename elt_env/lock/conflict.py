"""Explain a conflict of the two halves: a smallest set of requirements, and what they need."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

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
    UnsatisfiableError,
)
from elt_env.lock.core import Unit, allowing, failure, limited_to, smallest_conflict, units_of, ways
from elt_env.lock.facts import facts_of, plain
from elt_env.lock.joint import JointProblem
from elt_env.lock.lacks import (
    Lack,
    lack_of_conda,
    lack_of_newer_wheel,
    lack_of_owned,
    lack_of_pip,
    sentence,
    ways_with_sdist,
)
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.problems import OnDemand, Problems, host_problem, remote_problems
from elt_env.lock.request import LockRequest
from elt_env.lock.solve import CondaAnswer, as_requirement, comes_from_host, solve
from elt_env.machine.process import Say, unheard
from elt_env.package.names import normalize
from elt_env.pip.uv_errors import not_found

_LINES = 15
_UNITS = 7
_REMEDIES = 3
_TRIES = 12  # of requirements to do without, at the end of a lock that failed


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
    first = tuple(each for each in direct if each) or _newer_wheel(part, core)
    lacks = tuple(dict.fromkeys([*first, *(each for each in deep if each)]))
    telling = lacks if len(core) <= 1 else first
    remedies = dict.fromkeys(each.remedy for each in telling if each.remedy)
    remedy = " ".join([*remedies][: _REMEDIES if len(first) > 1 else 1])
    return Explanation(tuple(core), (*_asked(part, core), *facts), lacks, remedy)


def _newer_wheel(problem: JointProblem, core: Sequence[Unit]) -> tuple[Lack, ...]:
    """Return that a single requirement, which only old versions could meet, wants a wheel."""
    asked = [Requirement(each.text) for each in core if each.pip]
    alone = len(core) == len(asked) == 1 and not asked[0].url
    found = lack_of_newer_wheel(problem, asked[0]) if alone else None
    return (found,) if found else ()


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
    core = missing or smallest_conflict(problems, pins)
    if whole and problem.half and not missing and len(core) > 1:
        # What conda's packages carry may need what nobody has.
        less = smallest_conflict(whole, pins, core)
        if len(less) < len(core):
            core, problems, problem = less, whole, whole[0]
    again = failure(problems, (*core, *pins)) if core else None
    if again is None:
        return _with_ways(problem, error)
    found = explanation_of(problem, core, again, pins)
    result = _kind(found)(_text(problem, found), _remedy(whole or problems, found), found.facts)
    result.explanation = again.explanation
    names = dict.fromkeys(each.sdist_of for each in found.lacks if each.sdist_of)
    result.sdist_only = tuple(names) or again.sdist_only
    return result


def _with_ways(problem: JointProblem, error: UnsatisfiableError) -> UnsatisfiableError:
    """Return an error whose remedy says as well what helps against a lack of wheels."""
    if error.sdist_only:
        helps = ways_with_sdist(problem, error.sdist_only[0])
        error.remedy = sentence(["ask for a version with a wheel", *helps])
    return error


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
    pins = allowing(problem, units_of(problem))
    tried = itertools.islice(ways(problems, found.units, pins), _TRIES)
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


def solved(
    question: LockRequest, tools: LockTools, say: Say, *, in_one_go: bool = False
) -> CondaAnswer:
    """Return conda's own answer to a question.

    Where the joint resolve follows `in_one_go`, and the host channel will probably stand in again,
    the resolve begins meanwhile: what it is asked then depends on nothing that a channel says.

    Raises: as `solve`; where there is no answer, the error says which requirements of the spec
        cannot hold together.
    """
    if in_one_go and comes_from_host(question, tools.project.policy):
        tools.resolver.begin(host_problem(question, tools, unheard).first_request())
    try:
        return solve(question, tools, say)
    except UnsatisfiableError as error:
        try:
            raise _explained_alone(question, error, tools, say) from error
        except NetworkError:
            raise error from None


def _explained_alone(
    question: LockRequest, error: UnsatisfiableError, tools: LockTools, say: Say
) -> EltEnvError:
    """Return the explained error for conda's half alone."""
    alone = replace(question, spec=replace(question.spec, pip=(), constraints=()), directs=())
    if isinstance(error.__cause__, UnsatisfiableError):  # the host channel's packages are wheels
        whole = host_problem(question, tools, say)
        return explained([whole.limited(alone)], error, say, [whole])
    try:
        problems = [*remote_problems(alone, tools, say, archives=False)]
    except CondaUnsatisfiableError as lacking:
        return lacking
    return explained(problems, error, say, OnDemand(remote_problems(question, tools, say)))
