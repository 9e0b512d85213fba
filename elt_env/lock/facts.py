"""Facts: who needs what, where the resolver's explanation of why there is no answer points to.

The bounds are those of the packages' own metadata: a resolver writes them as short as it can
without those versions that are not there, and together with the constraints of the spec.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from elt_env.errors import Fact
from elt_env.lock.conda_half import constrains, depends
from elt_env.lock.joint import JointProblem
from elt_env.lock.joint_shelf import is_own, needs_in
from elt_env.package.names import named_in
from elt_env.spec.markers import bound_of, python_bound

_MOST = 7  # versions of one distribution whose metadata are read
_BOUNDS = r"[=<>!~][^\s,]*(?:,[=<>!~][^\s,]*)*"
_NAME = r"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?"
_EDGE = re.compile(
    rf"(?P<needy>{_NAME})(?:\[(?P<with>[^\]]*)\])?(?P<which>{_BOUNDS})? depends? on "
    rf"(?P<need>(?!(?:all|one|any) of\b){_NAME})(?P<extra>\[[^\]]*\])?(?P<bound>{_BOUNDS})?"
)
_LIST = re.compile(
    rf"(?P<needy>{_NAME})(?P<with>\[[^\]]*\])?(?P<which>{_BOUNDS})? depends? on:\n"
    r"(?P<needs>(?:\s{6,}\S+\n?)+)"
)
# What follows from what was said before is nobody's own need.
_CONCLUSION = re.compile(r"we can conclude that.*?(?=\n\s*(?:And|Because)\b|\Z)", re.DOTALL)


def facts_of(problem: JointProblem, text: str) -> tuple[Fact, ...]:
    """Return what an explanation of the resolver says of who needs what, in plain terms."""
    flat = re.sub(r"\s+", " ", _LIST.sub(_spread, _CONCLUSION.sub("", text)))
    found: list[Fact] = []
    for each in _EDGE.finditer(flat):
        found += _facts(
            problem,
            (each["needy"], (each["which"] or "").rstrip(".;:,")),
            (each["need"], (each["bound"] or "").rstrip(".;:,")),
            tuple((each["with"] or "").replace(" ", "").split(",")),
        )
    found.sort(key=lambda each: _newness(each.which), reverse=True)
    found.sort(key=lambda each: each.owner == "conda")
    for name, versions in problem.learned.banned.items():
        if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text):
            for version in reversed(versions):
                bound = str(python_bound(problem.python_bound(name, version)))
                which = f"=={version}"
                found.append(Fact(f"{name} {version}", name, "python", bound, "pip", which=which))
    return tuple(dict.fromkeys(each for each in found if not _is_part(each, found)))


def _is_part(fact: Fact, others: list[Fact]) -> bool:
    """Tell whether another fact says the same of that version, or those from it on, and of more."""
    exact = fact.which.removeprefix("==").removeprefix(">=")
    alike = [
        each.which
        for each in others
        if replace(each, needy="", which="") == replace(fact, needy="", which="")
        and each.which != fact.which
        and ("==" in fact.which or not set("<=") & set(each.which.removeprefix(">=")))
    ]
    try:
        return bool(Version(exact)) and any(not each or _covers(each, exact) for each in alike)
    except InvalidVersion:
        return False


def _newness(which: str) -> Version:
    """Return the newest version that a fact may be about, a high one where nothing says which."""
    try:
        bounds = [each for each in SpecifierSet(which) if each.operator in ("==", "<=", "<")]
        return min((Version(each.version) for each in bounds), default=Version("9999"))
    except (InvalidSpecifier, InvalidVersion):
        return Version("9999")


def _spread(found: re.Match[str]) -> str:
    """Return a list of what something depends on as sentences."""
    head = f"{found['needy']}{found['with'] or ''}{found['which'] or ''}"
    return "".join(f" {head} depends on {each} and" for each in found["needs"].split())


def _facts(
    problem: JointProblem, needy: tuple[str, str], need: tuple[str, str], extras: tuple[str, ...]
) -> Iterator[Fact]:
    """Yield what an edge of an explanation stands for."""
    shelf = problem.shown
    package = shelf.package_of(needy[0])
    other = shelf.package_of(need[0])
    found = None
    if package and other:
        found = _conda_fact(problem, package, needy[1], other)
    elif package and not is_own(need[0]):
        found = _carried_fact(problem, package, needy[1], need[0])
    elif not (is_own(needy[0]) or is_own(need[0])):
        yield from _needs(problem, needy, need, extras)
    if found is not None:
        yield found


def _needs(
    problem: JointProblem, needy: tuple[str, str], need: tuple[str, str], extras: tuple[str, ...]
) -> Iterator[Fact]:
    """Yield what versions of a distribution need, by its metadata where they can be had."""
    stub = "+conda." in needy[1]
    which = _without_labels(needy[1])
    bound = _without_labels(need[1])
    metadata = {} if need[0] == "python" else _metadata(problem, needy, stub=stub)
    bounds = {
        version: bound_of(need[0], needs, problem.python, extras)
        for version, needs in metadata.items()
        if any(each.name == need[0] for each in needs)
    }
    found = {*bounds.values()}
    if not bounds and 0 < len(metadata) < _MOST:
        return  # what the resolver concludes from what others need
    if not bounds:
        bound = "" if _says_nothing(problem, need) else bound
        yield _fact((needy[0], which), need[0], bound, stub=stub)
    elif (
        len(found) == 1
        and len(bounds) == len(metadata) < _MOST
        and not (stub and _is_partial(problem, needy[0]))
    ):
        yield _fact((needy[0], which), need[0], found.pop(), stub=stub)
    else:
        version, bound = next(iter(bounds.items()))
        yield _fact((needy[0], f"=={version}"), need[0], bound, stub=stub)


def _says_nothing(problem: JointProblem, need: tuple[str, str]) -> bool:
    """Tell whether a bound in a resolver's words lets in all that there is of a distribution."""
    name, bound = need
    offered = [each.version for each in problem.judged(name)]
    offered += [each.label for each in problem.shown.stubs(name)]
    return bool(offered) and all(_covers(bound, each) for each in offered)


def _without_labels(which: str) -> str:
    """Return a bound on versions without what only the resolver sees of conda's."""
    public = re.sub(r"\+conda[^,]*", "", which)
    low, _, high = public.partition(",")
    is_one = low.startswith(">=") and high == low.replace(">=", "<=")
    return low.replace(">=", "==") if is_one else public


def _is_partial(problem: JointProblem, distribution: str) -> bool:
    """Tell whether the channels have versions of a distribution that the resolver does not see."""
    half = problem.half
    if half is None:
        return False
    seen: dict[str, set[str]] = {}
    for each in problem.shown.stubs(distribution):
        build = half.build(each.package, each.number)
        seen.setdefault(each.package, set()).add(build.version)
    return any({*half.offered.versions(name)} != versions for name, versions in seen.items())


def _metadata(
    problem: JointProblem, needy: tuple[str, str], *, stub: bool
) -> dict[str, tuple[Requirement, ...]]:
    """Return what versions of a distribution need, newest first; not of all where they are many."""
    name, which = needy
    if stub:
        stubs = [each for each in problem.shown.stubs(name) if _covers(which, each.label)]
        newest = sorted(stubs, key=lambda each: Version(each.label), reverse=True)
        return {each.version: needs_in(each.metadata) for each in newest}
    judged = [each for each in problem.judged(name) if _covers(which, each.version)]
    usable = [each for each in judged if each.usable] or judged
    versions = [each.version for each in usable][:_MOST]
    found = problem.pages.needs((name, each) for each in versions)
    return {each: found[name, each] for each in versions if (name, each) in found}


def _fact(needy: tuple[str, str], need: str, bound: str, *, stub: bool) -> Fact:
    name, which = needy
    who = f"conda's {name}" if stub else name
    exact = which.startswith("==") and "," not in which
    label = f"{who} {which.removeprefix('==')}" if exact else f"{who}{' ' + which if which else ''}"
    return Fact(label, name, need, bound, "conda" if stub else "pip", which=which)


def _covers(which: str, version: str) -> bool:
    """Tell whether versions as a resolver writes them, maybe local ones in an order, have one."""
    public = re.sub(r"(?<=[<>])(=?[^,+]*)\+[^,]*", r"\1", which)
    return SpecifierSet(public).contains(version, prereleases=True)


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


def plain(problem: JointProblem, text: str) -> str:
    """Return a resolver's text without the names that only the resolver sees."""
    shelf = problem.shown

    def named(found: re.Match[str]) -> str:
        package = shelf.package_of(found[0])
        return f"conda's {package}" if package else found[0]

    text = re.sub(r"elt-(?:conda|room|need)-[a-z0-9]+", named, text)
    return re.sub(r"\+conda\.[a-z0-9]+\.\d+", " (conda's)", text)
