"""Clashes: bounds of conda on what it does not bring that pip's half does not keep to."""

from __future__ import annotations

from collections.abc import Iterable

from elt_env.lock.conda_half import constrains
from elt_env.lock.joint import JointProblem
from elt_env.lock.joint_choice import Choice
from elt_env.lock.learned import Clash
from elt_env.lockfile.document import Package
from elt_env.package.names import named_in


def clashes(problem: JointProblem, packages: Iterable[Package], choice: Choice) -> list[Clash]:
    """Return which of conda's bounds on what it does not bring do not hold for pip's half."""
    pip = {each.name: each.version for each in choice.resolved if not each.on_shelf}
    packages = tuple(packages)
    there = {each.name for each in packages}
    return [
        _clash(problem, package, bound, name, pip[name])
        for package in packages
        for bound in constrains(package)
        if named_in(bound) not in there
        for name in sorted(problem.distributions_of(named_in(bound)) & pip.keys())
        if not problem.tools.conda.admits(bound, pip[name])
    ]


def is_barred(problem: JointProblem, bound: str, name: str, version: str) -> bool:
    """Tell whether a bound of conda's on what it does not bring excludes a distribution's."""
    meant = name in problem.distributions_of(named_in(bound))
    return meant and not problem.tools.conda.admits(bound, version)


def learn_clashes(problem: JointProblem, found: Iterable[Clash]) -> bool:
    """Respect clashes from now on; return whether one of them is new."""
    new = [each for each in found if each not in problem.learned.clashes]
    problem.learned.clashes += dict.fromkeys(new)
    return bool(new)


def _clash(problem: JointProblem, package: Package, bound: str, name: str, version: str) -> Clash:
    if problem.half is None:
        raise ValueError(bound)
    builds = problem.half.offered.builds(package.name)
    numbers = tuple(
        problem.half.number(package.name, place)
        for place, each in enumerate(builds)
        if bound in constrains(each)
    )
    versions = _known_versions(problem, name)
    bad = [each for each in versions if not problem.tools.conda.admits(bound, each)]
    requirement = name + ",".join(f"!={each}" for each in sorted({*bad, version}))
    return Clash(package.name, numbers, requirement, name)


def _known_versions(problem: JointProblem, name: str) -> list[str]:
    page = problem.pages.read([name]).get(name)
    return sorted(page.versions) if page else []
