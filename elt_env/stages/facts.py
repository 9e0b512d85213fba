"""Facts: who needs what, read from the resolver's explanation of why there is no answer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from elt_env.errors import Fact
from elt_env.stages.joint import JointProblem
from elt_env.stages.joint_shelf import constrains, depends, is_own, named_in
from elt_env.tools.declared import python_bound

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


def facts_of(problem: JointProblem, text: str) -> tuple[Fact, ...]:
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
    found.sort(key=lambda each: _newness(each.which), reverse=True)
    found.sort(key=lambda each: each.owner == "conda")
    for name, versions in problem.learned.banned.items():
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text):
            for version in reversed(versions):
                bound = str(python_bound(problem.python_bound(name, version)))
                which = f"=={version}"
                found.append(Fact(f"{name} {version}", name, "python", bound, "pip", which=which))
    return tuple(dict.fromkeys(found))


def _newness(which: str) -> Version:
    """Return the version that a fact is about, a high one where it is about several."""
    exact = which.removeprefix("==")
    try:
        return Version(exact)
    except InvalidVersion:
        return Version("9999")


def _spread(found: re.Match[str]) -> str:
    """Return a list of what something depends on as sentences."""
    head = f"{found['needy']}{found['which'] or ''}"
    return "".join(f" {head} depends on {each} and" for each in found["needs"].split())


def _fact(problem: JointProblem, needy: tuple[str, str], need: tuple[str, str]) -> Fact | None:
    shelf = problem.shown
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
    stubs = [each for each in problem.shown.stubs(name) if each.package == package]
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
    shelf = problem.shown

    def named(found: re.Match[str]) -> str:
        package = shelf.package_of(found[0])
        return f"conda's {package}" if package else found[0]

    text = re.sub(r"elt-(?:conda|room|need)-[a-z0-9]+", named, text)
    return re.sub(r"\+conda\.[a-z0-9]+\.\d+", " (conda's)", text)
