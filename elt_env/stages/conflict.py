"""Why the two halves have no common answer: a smallest set of requirements, and what they need."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import Version

from elt_env.errors import (
    DisagreementError,
    EltEnvError,
    Fact,
    NoWheelError,
    PipConflictError,
    TimeLimitError,
    UnsatisfiableError,
)
from elt_env.model.conda_spec import CondaSpec
from elt_env.model.markers import applies
from elt_env.model.minimal import minimal
from elt_env.model.names import normalize
from elt_env.model.releases import News
from elt_env.stages.joint import JointProblem, Part
from elt_env.stages.joint_shelf import constrains, depends, is_own, named_in
from elt_env.tools.declared import python_bound
from elt_env.tools.http_client import unheard
from elt_env.tools.process import Say

_BOUNDS = r"[=<>!~][^\s,]*(?:,[=<>!~][^\s,]*)*"
_NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_EDGE = re.compile(
    rf"(?P<needy>{_NAME})(?:\[[^\]]*\])?(?P<which>{_BOUNDS})? depends? on "
    rf"(?P<need>(?!(?:all|one|any) of\b){_NAME})(?P<extra>\[[^\]]*\])?(?P<bound>{_BOUNDS})?"
)
_LIST = re.compile(
    rf"(?P<needy>{_NAME})(?:\[[^\]]*\])?(?P<which>{_BOUNDS})? depends? on:\n"
    r"(?P<needs>(?:\s{6,}\S+\n?)+)"
)
# What follows from what was said before is nobody's own need.
_CONCLUSION = re.compile(r"we can conclude that.*?(?=\n\s*(?:And|Because)\b|\Z)", re.DOTALL)
_FACTS = 8
_YANKED = {
    "take": "Ask for another version, or pin this one: {}.",
    "refuse": 'Ask for another version than {}, or set yanked = "take" in [tool.elt-env].',
}


@dataclass(frozen=True)
class Unit:
    """One requirement of the spec, and which half it is of."""

    side: str
    text: str
    pip: str | None = None
    conda: CondaSpec | None = None

    def __str__(self) -> str:
        return f"{self.side}: {self.text}"


def units_of(problem: JointProblem) -> tuple[Unit, ...]:
    """Return the requirements of both halves that count under the problem's Python."""
    spec = problem.question.spec
    pip = (each for each in problem.question.pip if applies(Requirement(each), problem.python))
    return (
        *(Unit("conda", str(each), conda=each) for each in spec.conda),
        *(Unit("pip", each, pip=each) for each in pip),
        *(Unit("constraint", each) for each in spec.constraints),
    )


def smallest_conflict(
    problem: JointProblem, units: Sequence[Unit], more: Sequence[str] = ()
) -> tuple[Unit, ...]:
    """Return requirements that cannot hold together, none of which can be left out.

    Args:
        problem: what is asked.
        units: requirements that cannot hold together.
        more: constraints that hold in any case.
    """

    def fails(some: Sequence[Unit]) -> bool:
        return failure(problem, some, more) is not None

    return tuple(minimal(units, fails))


def failure(
    problem: JointProblem, units: Sequence[Unit], more: Sequence[str] = ()
) -> EltEnvError | None:
    """Return the error that asking for these requirements alone ends in; None when it has none."""
    part = Part(
        tuple(each.pip for each in units if each.pip),
        tuple(each.conda for each in units if each.conda),
        (*(each.text for each in units if each.side == "constraint"), *more),
    )
    try:
        choice = problem.resolve(unheard, part=part)
        while problem.ban(choice):
            choice = problem.resolve(unheard, part=part)
    except UnsatisfiableError as error:
        return error
    except TimeLimitError:
        return None
    return None


def explained(problem: JointProblem, error: UnsatisfiableError, say: Say) -> EltEnvError:
    """Return the error that says which requirements of the spec cannot hold together, and why."""
    for line in error.explanation.splitlines() if error.explanation != error.problem else ():
        say(f"uv: {plain(problem, line)}")
    core = smallest_conflict(problem, units_of(problem))
    again = failure(problem, core)
    if again is None or not core:
        return error
    if not any(each.conda for each in core):
        return _of_pip(problem, core, again)
    facts = facts_of(problem, _text(again), core)
    shared = problem.shelf().stub_names
    names = sorted({each.need for each in facts if each.owner != "conda" and each.need in shared})
    lines = [f"  {each.side}: {each.text}" for each in core]
    because = [f"  {each}" for each in facts[:_FACTS]]
    on = f" on {', '.join(names)}" if names else ""
    head = (
        f"conda and pip cannot agree{on} for {problem.question.target.name}: "
        "these requirements of the spec cannot hold together."
    )
    text = "\n".join([head, *lines, *(["because", *because] if because else [])])
    return DisagreementError(text, f"Loosen one of them in {problem.question.spec.source}.", facts)


def _of_pip(problem: JointProblem, core: Sequence[Unit], again: EltEnvError) -> EltEnvError:
    """Return the error for requirements of pip's half alone."""
    if len(core) == 1 and core[0].pip:
        found = _unusable(problem, core[0])
        if found is not None:
            return found
    if not isinstance(again, PipConflictError):
        return again
    facts = facts_of(problem, _text(again), core)
    asked = ", ".join(each.text for each in core)
    because = "\n".join(f"  {each}" for each in facts[:_FACTS])
    return PipConflictError(
        f"pip finds no versions that fit together. Direct requirements that take part: {asked}\n"
        + (because or plain(problem, again.problem)),
        again.remedy if len(core) > 1 else _one_remedy(problem, core[0]),
        facts,
    )


def _text(error: EltEnvError) -> str:
    return error.explanation if isinstance(error, UnsatisfiableError) else error.problem


def _one_remedy(problem: JointProblem, unit: Unit) -> str:
    return f"Ask for another version of {unit.text} in {problem.question.spec.source}."


def _unusable(problem: JointProblem, unit: Unit) -> EltEnvError | None:
    """Return the error for a requirement of which no version on the index may be taken."""
    requirement = Requirement(unit.pip or "")
    name = normalize(requirement.name)
    judged = problem.judged(name)
    wanted = [
        each for each in judged if requirement.specifier.contains(each.version, prereleases=True)
    ]
    if not wanted or any(each.usable for each in wanted):
        return None
    pinned = any(each.operator in ("==", "===") for each in requirement.specifier)
    refused = problem.toolbox.policy.yanked == "refuse"
    if pinned and not refused and "yanked" in wanted[0].reason:
        return None  # that it was yanked is no reason against it
    reasons = "; ".join(each.reason for each in wanted[:3])
    kind = NoWheelError if "has no wheel" in wanted[0].reason else PipConflictError
    return kind(
        f"No version of {unit.text} may be taken for {problem.question.target.name}: {reasons}.",
        remedy_for(problem, name, wanted),
    )


def remedy_for(problem: JointProblem, name: str, judged: Sequence[News]) -> str:
    """Return what helps against the reasons for which no version may be taken."""
    held = [each.eligible_at for each in judged if each.eligible_at is not None]
    newest = judged[0]
    listed = f"list {name} in cooldown-exceptions in [tool.elt-env]."
    if held:
        return f"Wait until {min(held):%Y-%m-%d}, or {listed}"
    if "has no wheel" in newest.reason and problem.has_sdist(name, newest.version):
        return f'Ask for a version with a wheel, or set allow-sdist = ["{name}"] in [tool.elt-env].'
    for sign, remedy in (
        ("has no wheel", "Ask for a version with a wheel for this platform and Python."),
        ("needs Python", "Ask for a version that this Python may have, or use another Python."),
        ("yanked", _YANKED[problem.toolbox.policy.yanked].format(f"{name}=={newest.version}")),
        ("pre-release", f"Pin the pre-release that you want: {name}=={newest.version}."),
        ("no upload time", f'Set undated-releases = "take", or {listed}'),
    ):
        if sign in newest.reason:
            return remedy
    return f"Ask for another version of {name}."


def facts_of(problem: JointProblem, text: str, core: Iterable[Unit]) -> tuple[Fact, ...]:
    """Return what an explanation of the resolver says of who needs what, in plain terms."""
    flat = re.sub(r"\s+", " ", _LIST.sub(_spread, _CONCLUSION.sub("", text)))
    found: list[Fact] = []
    for each in _EDGE.finditer(flat):
        fact = _fact(
            problem,
            (each["needy"], (each["which"] or "").rstrip(".;:,")),
            (each["need"], (each["bound"] or "").rstrip(".;:,")),
        )
        if fact is not None:
            found.append(fact)
    order = {"spec": 0, "pip": 1, "conda": 2}
    found += _asked(problem, core)
    found.sort(key=lambda each: order[each.owner])
    for name, versions in problem.learned.banned.items():
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text):
            for version in reversed(versions):
                bound = str(python_bound(problem.python_bound(name, version)))
                which = f"=={version}"
                found.append(Fact(f"{name} {version}", name, "python", bound, "pip", which=which))
    return tuple(dict.fromkeys(found))


def _asked(problem: JointProblem, core: Iterable[Unit]) -> list[Fact]:
    """Return what the spec itself asks of distributions that conda carries."""
    carried = problem.shelf().stub_names
    found = []
    for each in core:
        requirement = None if each.conda else Requirement(each.text)
        if requirement and requirement.name in carried and str(requirement.specifier):
            text, bound = str(requirement), str(requirement.specifier)
            found.append(Fact("the spec", text, requirement.name, bound, "spec", "asks for"))
    return found


def _spread(found: re.Match[str]) -> str:
    """Return a list of what something depends on as sentences."""
    head = f"{found['needy']}{found['which'] or ''}"
    return "".join(f" {head} depends on {each} and" for each in found["needs"].split())


def _fact(problem: JointProblem, needy: tuple[str, str], need: tuple[str, str]) -> Fact | None:
    shelf = problem.shelf()
    package = shelf.package_of(needy[0])
    other = shelf.package_of(need[0])
    if package and other:
        return _conda_fact(problem, package, needy[1], other)
    if package and not is_own(need[0]):
        return _carried_fact(problem, package, needy[1], need[0])
    if is_own(needy[0]) or is_own(need[0]):
        return None
    stub = "+conda." in needy[1]
    which = needy[1].partition("+conda")[0]
    who = f"{'conda' + chr(39) + 's ' if stub else ''}{needy[0]}"
    exact = which.startswith("==") and "," not in which
    label = f"{who} {which.removeprefix('==')}" if exact else f"{who}{' ' + which if which else ''}"
    bound = need[1].partition("+conda")[0]
    return Fact(label, needy[0], need[0], bound, "conda" if stub else "pip", which=which)


def _carried_fact(problem: JointProblem, package: str, which: str, name: str) -> Fact | None:
    """Return which versions of a distribution some builds of a package are."""
    numbers = SpecifierSet(which)
    stubs = [each for each in problem.shelf().stubs(name) if each.package == package]
    versions = {each.version for each in stubs if numbers.contains(str(each.number))}
    newest = sorted(versions, key=Version, reverse=True)
    shown = ", ".join(newest[:3]) + (", …" if len(newest) > 3 else "")  # noqa: PLR2004
    every = "" if len(versions) < len({each.version for each in stubs}) else " only"
    label = "conda" if package == name else f"conda's {package}"
    return Fact(label, package, name, shown + every, "conda", "has") if newest else None


def _conda_fact(problem: JointProblem, package: str, which: str, other: str) -> Fact | None:
    half = problem.half
    if half is None:
        return None
    numbers = SpecifierSet(which)
    for position in half.usable(package):
        if not numbers.contains(str(half.number(package, position))):
            continue
        build = half.offered.builds(package)[position]
        for each in (*depends(build), *constrains(build)):
            if named_in(each) == other:
                bound = each.strip()[len(other) :].strip()
                who = f"conda's {package} {build.version}"
                return Fact(who, package, other, bound, "conda", which=f"=={build.version}")
    return None


def reason_for(facts: Iterable[Fact], name: str, possible: str, chosen: Mapping[str, str]) -> str:
    """Return what keeps a package from a version, by facts about what was chosen.

    Either something that was chosen needs the package otherwise, or that version needs something
    otherwise than it was chosen. "" where no such fact is known.
    """
    for fact in facts:
        who, other = chosen.get(fact.name), chosen.get(fact.need)
        by_chosen = fact.need == name and who and _covers(fact.which, who)
        if by_chosen and not _covers(fact.bound, possible):
            return f"{fact.name} {who} needs {name} {fact.bound}"
        by_possible = fact.name == name and other and _covers(fact.which, possible)
        if by_possible and fact.verb == "needs" and not _covers(fact.bound, other or ""):
            return f"{name} {possible} needs {fact.need} {fact.bound}, which is {other}"
    return ""


def _covers(bound: str, version: str) -> bool:
    """Tell whether a bound has a version; one that is not of PEP 440 has any."""
    try:
        return SpecifierSet(bound).contains(version, prereleases=True)
    except InvalidSpecifier:
        return True


def plain(problem: JointProblem, text: str) -> str:
    """Return a resolver's text without the names that only the resolver sees."""
    shelf = problem.shelf()

    def named(found: re.Match[str]) -> str:
        package = shelf.package_of(found[0])
        return f"conda's {package}" if package else found[0]

    text = re.sub(r"elt-(?:conda|room|need)-[a-z0-9]+", named, text)
    return re.sub(r"\+conda\.[a-z0-9]+\.\d+", " (conda's)", text)
