"""Lacks: why nothing can be had that satisfies one requirement, and what would help."""

from __future__ import annotations

import contextlib
import difflib
import importlib.metadata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from packaging.requirements import Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion

from elt_env.conda import LeftOut, Offered
from elt_env.errors import NetworkError
from elt_env.lock.conda_half import depends
from elt_env.lock.joint import JointProblem
from elt_env.lock.releases import News
from elt_env.lockfile.document import Package
from elt_env.package.names import named_in, normalize
from elt_env.project.spec_paths import typed_for
from elt_env.spec.conda_bounds import admits_minor

Kind = Literal["absent", "wheel", "version", "python", "held"]

_MINORS = [f"3.{number}" for number in range(6, 40)]
_SHOWN = 3
_NEAR = 0.75  # of 1, how alike two names are


@dataclass(frozen=True)
class Lack:
    """Why nothing can be had that satisfies a requirement.

    Attributes:
        text: a line for a person.
        remedy: what helps; "" where only another requirement does.
        kind: no such name, no wheel that fits, no such version, for other Pythons only, or kept out
            by a rule or by this machine.
        sdist_of: the distribution that is there as an sdist only; "" where it is not so.
    """

    text: str
    remedy: str = ""
    kind: Kind = "version"
    sdist_of: str = ""


def lack_of_conda(problem: JointProblem, requirement: str, *, direct: bool = False) -> Lack | None:
    """Return why no build can be had for a requirement as repodata write it; None where one can.

    Args:
        problem: what is asked.
        requirement: as repodata write it.
        direct: whether the spec has it.
    """
    half, name = problem.half, named_in(requirement)
    if half is None or name.startswith("__") or half.allowed(requirement):
        return None
    offered = half.offered
    if not offered.versions(name):
        return _no_package(problem, name, direct=direct)
    matching = [offered.builds(name)[each] for each in sorted(offered.matching(requirement))]
    if matching:
        return None if name == "python" else _for_other_pythons(problem, name, matching)
    left_out = offered.left_out(requirement)
    if left_out:
        return _kept_out(problem, left_out[0])
    return _no_such_version(offered, requirement)


def _no_such_version(offered: Offered, requirement: str) -> Lack | None:
    name, *bounds = requirement.split()
    everything = offered.asking(())
    if everything.builds(name) and everything.matching(requirement):
        return None  # what the spec asks for leaves it out
    if len(bounds) > 1:
        like = f"{name} {bounds[0]}"
        positions = sorted(everything.matching(like))
        same = [everything.builds(name)[each] for each in positions]
        builds = list(dict.fromkeys(f"{each.version} {each.build}" for each in same))
        if builds:
            return Lack(f"the channels have {like} in the builds {_some(builds)} only")
    has = _some(offered.versions(name))
    return Lack(f"no channel has {requirement}: there is {has}")


def _some(versions: Sequence[str]) -> str:
    more = ", …" if len(versions) > _SHOWN else ""
    return ", ".join(versions[:_SHOWN]) + more


def _no_package(problem: JointProblem, name: str, *, direct: bool) -> Lack:
    text = f"no channel has a package '{name}'"
    try:
        known = problem.tools.conda.names(problem.asked.channels, problem.asked.platform)
    except NetworkError:
        known = ()
    near = difflib.get_close_matches(name, known, cutoff=_NEAR) if direct else []
    if near:
        return Lack(text, f"Did you mean {' or '.join(near)}?", "absent")
    correct = f"Correct the name '{name}', or add" if direct else "Add"
    channels = ", ".join(problem.asked.channels)
    return Lack(text, f"{correct} the channel that has it; {channels} does not.", "absent")


def _for_other_pythons(problem: JointProblem, name: str, builds: Sequence[Package]) -> Lack:
    """Return that the builds of some versions are made for other Pythons."""
    best = builds[0]
    needs = [each for each in depends(best) if named_in(each) in ("python", "python_abi")]
    bounds = [
        each.partition(" ")[2]
        for build in builds
        for each in depends(build)
        if named_in(each) == "python"
    ]
    minors = [minor for minor in _MINORS if any(_admits(bound, minor) for bound in bounds)]
    minors = [each for each in minors if each != problem.question.target.python]
    half = problem.half
    suits = half.usable(name) if half else ()
    other = f"{name} {half.offered.builds(name)[suits[0]].version}" if half and suits else ""
    ways = [f"ask for {other}, which suits this Python"] if other else []
    ways += [f"use Python {_listed(minors)}"] if minors else []
    remedy = sentence(ways)
    return Lack(f"{name} {best.version} needs {' and '.join(needs[:2])}", remedy, "python")


def _admits(bound: str, minor: str) -> bool:
    try:
        return admits_minor(bound.split(" ", maxsplit=1)[0], minor)
    except ValueError:
        return False


def _listed(minors: Sequence[str]) -> str:
    if len(minors) > _SHOWN:
        return (
            f"{minors[0]} or newer" if minors[-1] == _MINORS[-1] else f"{minors[0]} to {minors[-1]}"
        )
    return " or ".join(minors)


def ways_with_sdist(problem: JointProblem, name: str) -> tuple[str, str]:
    """Return what helps where a distribution is there as an sdist only."""
    question, project = problem.question, problem.tools.project
    allow = f'set allow-sdist = ["{name}"] in {project.table}'
    typed = typed_for(question.target, question.spec, project)
    build = f"build its wheel once: elt-env wheelhouse {typed}"
    # The name of a file is taken with the full stop of a sentence that it ends.
    listed = question.target.environment in project.policy.environments
    return (allow, build) if listed else (build, allow)


def sentence(ways: Sequence[str]) -> str:
    """Return ways to help as one sentence; "" without any."""
    text = ", or ".join(ways)
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _kept_out(problem: JointProblem, build: LeftOut) -> Lack:
    package = build.package
    label = f"{package.name} {package.version}"
    if build.reason == "virtual":
        here = (
            f"{named_in(build.what)} {build.here}" if build.here else f"no {named_in(build.what)}"
        )
        remedy = f"Ask for a build of {package.name} that does without, or lock where that holds."
        return Lack(f"{label} needs {build.what}, and this machine has {here}", remedy, "held")
    if build.reason == "channel":
        return Lack(
            f"{label} is on {build.what}; a channel that goes before it has {package.name} too",
            f"Ask for {build.what}::{package.name}, or set channel-priority = "
            '"flexible" in [tool.elt-env].',
            "held",
        )
    eligible = (
        package.released_at + problem.tools.project.policy.cooldown if package.released_at else None
    )
    return Lack(
        f"{label} is too young for the cool-down; eligible on {eligible:%Y-%m-%d}",
        f"Wait until {eligible:%Y-%m-%d}, or {_exception(package.name)}",
        "held",
    )


def _exception(name: str) -> str:
    return f"list {name} in cooldown-exceptions in [tool.elt-env]."


def lack_of_pip(
    problem: JointProblem,
    name: str,
    bound: str,
    absent: Iterable[str] = (),
    *,
    direct: bool = False,
) -> Lack | None:
    """Return why nothing on the index can be had within a bound; None where something can.

    Args:
        problem: what is asked.
        name: of the distribution.
        bound: as PEP 440 writes it.
        absent: the names that the resolver found on no index.
        direct: whether the spec has it.
    """
    if name == "python":
        return Lack("", f"Use another Python, one that is {bound}.", "python")
    if name in absent:
        return _no_distribution(problem, name, direct=direct)
    try:
        wanted = SpecifierSet(bound)
    except InvalidSpecifier:
        return None
    return _lack_on_index(problem, name, wanted, direct=direct)


def lack_of_owned(problem: JointProblem, name: str, bound: str) -> Lack | None:
    """Return why nothing can be had within a bound of what conda brings in any case.

    None where something can, and where conda need not bring it: then the index may have it.

    Args:
        problem: what is asked in all.
        name: of the distribution.
        bound: as PEP 440 writes it.
    """
    half, stubs = problem.half, problem.shown.stubs(name)
    owners = {each.package for each in stubs}
    if half is None or len(owners) != 1 or not owners <= half.certain:
        return None
    try:
        wanted = SpecifierSet(bound)
    except InvalidSpecifier:
        return None
    if any(wanted.contains(each.version, prereleases=True) for each in stubs):
        return None
    owner = owners.pop()
    for each in half.offered.left_out(owner):
        if owner == name and _is_within(wanted, each.package.version):
            return _kept_out(problem, each)
    versions = list(dict.fromkeys(each.version for each in stubs))
    return Lack(f"conda has {name} {_some(versions)} only")


def _is_within(wanted: SpecifierSet, version: str) -> bool:
    try:
        return wanted.contains(version, prereleases=True)
    except InvalidVersion:
        return False


def _lack_on_index(
    problem: JointProblem, name: str, wanted: SpecifierSet, *, direct: bool
) -> Lack | None:
    if any(wanted.contains(each.version, prereleases=True) for each in problem.shown.stubs(name)):
        return None
    judged = problem.judged(name)
    inside = [each for each in judged if wanted.contains(each.version, prereleases=True)]
    if not judged or any(each.usable for each in inside):
        return None
    if not inside:
        versions = [each.version for each in judged]
        return Lack(f"no index has {name}{wanted}: there is {_some(versions)}")
    if _is_taken(problem, name, inside[0], wanted, direct=direct):
        return None
    sdists = [each for each in inside if is_sdist_only(problem, each)]
    inside = [*sdists[:1], *(each for each in inside if each not in sdists[:1])]
    reasons = "; ".join(each.reason for each in inside[:2])
    kind: Kind = "wheel" if "has no wheel" in inside[0].reason else "held"
    others = judged if direct else ()
    remedy = _remedy(problem, name, inside, others)
    return Lack(f"{name} {reasons}", remedy, kind, name if sdists else "")


def lack_of_newer_wheel(problem: JointProblem, requirement: Requirement) -> Lack | None:
    """Return that the newest version is an sdist alone, where an older one could be taken."""
    name = normalize(requirement.name)
    inside = [each for each in problem.judged(name) if requirement.specifier.contains(each.version)]
    if not inside or not is_sdist_only(problem, inside[0]):
        return None
    remedy = sentence(ways_with_sdist(problem, name))
    return Lack(f"{name} {inside[0].reason}", remedy, "wheel", name)


def is_sdist_only(problem: JointProblem, news: News) -> bool:
    """Tell whether what was judged may not be taken for want of a wheel, and has an sdist."""
    return "has no wheel" in news.reason and problem.has_sdist(news.name, news.version)


def _is_taken(
    problem: JointProblem, name: str, newest: News, wanted: SpecifierSet, *, direct: bool
) -> bool:
    """Tell whether a bound lets in what is not taken without one (PEP 440, PEP 592).

    These are pre-releases, and of what the spec pins what was yanked.
    """
    asked = [Requirement(each) for each in problem.question.spec.pip]
    bounds = [each.specifier for each in asked if normalize(each.name) == name]
    if newest.reason.endswith("is a pre-release"):
        return any(each.prereleases for each in (wanted, *bounds))
    bounds += [wanted] if direct else []
    pinned = any(one.operator in ("==", "===") for each in bounds for one in each)
    return pinned and problem.tools.project.policy.yanked == "take" and "yanked" in newest.reason


def _no_distribution(problem: JointProblem, name: str, *, direct: bool) -> Lack:
    text = f"no index has a package '{name}'"
    near = difflib.get_close_matches(name, _known(problem), cutoff=_NEAR) if direct else []
    found = [each for each in near if each in problem.pages.read(near)]
    if found:
        return Lack(text, f"Did you mean {' or '.join(found)}?", "absent")
    correct = f"Correct the name '{name}', or add" if direct else "Add"
    remedy = f"{correct} the index that has it to extra-indexes in [tool.elt-env]."
    return Lack(text, remedy, "absent")


def _known(problem: JointProblem) -> set[str]:
    """Return the names of distributions that are at hand."""
    spec = problem.question.spec
    names = {each.metadata["Name"] for each in importlib.metadata.distributions()}
    names |= {Requirement(each).name for each in spec.pip} | {each.name for each in spec.conda}
    with contextlib.suppress(NetworkError):
        names |= {*problem.tools.conda.names(problem.asked.channels, problem.asked.platform)}
    return {normalize(each) for each in names if each}


def _remedy(
    problem: JointProblem, name: str, inside: Sequence[News], judged: Sequence[News]
) -> str:
    """Return what helps against the reasons for which none of the versions inside may be taken.

    Of the others that were judged, one that is usable could be asked for instead.
    """
    newest = inside[0]
    held = [each.eligible_at for each in inside if each.eligible_at is not None]
    if held:
        return f"Wait until {min(held):%Y-%m-%d}, or {_exception(name)}"
    other = next((each.version for each in judged if each.usable), "")
    ways = [f"ask for {name} {other}, which may be taken"] if other else []
    if is_sdist_only(problem, newest):
        ways += ways_with_sdist(problem, name)
    elif "needs Python" in newest.reason:
        ways.append(
            f"use another Python, one that is {newest.reason.partition('needs Python ')[2]}"
        )
    elif "yanked" in newest.reason and problem.tools.project.policy.yanked == "refuse":
        ways.append('set yanked = "take" in [tool.elt-env] and pin it')
    elif "yanked" in newest.reason:
        ways.append(f"pin this one in the pip section: {name}=={newest.version}")
    elif "pre-release" in newest.reason:
        ways.append(f'set pre-releases = ["{name}"] in [tool.elt-env]')
    elif "no upload time" in newest.reason:
        ways.append(f'set undated-releases = "take", or {_exception(name).removesuffix(".")}')
    elif "has no wheel" in newest.reason and not other:
        ways.append("use a platform or a Python that it has a wheel for")
    return sentence(ways)
