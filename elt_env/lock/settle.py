"""Settle: what conda makes of a choice that the resolver made for both halves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from packaging.version import Version

from elt_env.errors import CondaUnsatisfiableError
from elt_env.lock.best_answer import Clause
from elt_env.lock.clashes import clashes, learn_clashes
from elt_env.lock.conda_half import CondaHalf
from elt_env.lock.contenders import ban
from elt_env.lock.joint import JointProblem
from elt_env.lock.joint_choice import Choice
from elt_env.lock.solve import CondaAnswer
from elt_env.lockfile.document import Package, with_required_by
from elt_env.machine.process import Say
from elt_env.spec.conda_spec import CondaSpec

_NO_BUILD = "elt_env_none"


def allowed(
    problem: JointProblem,
    say: Say,
    clauses: tuple[Clause, ...] = (),
    limit: float | None = None,
) -> Choice:
    """Return the resolver's choice, of versions that may be taken.

    Raises: as `JointProblem.resolve`.
    """
    while True:
        choice = problem.resolve(say, clauses, limit=limit)
        if not ban(problem, choice):
            return choice


def settled(problem: JointProblem, choice: Choice, say: Say) -> CondaAnswer | None:
    """Return conda's answer to a choice; None where something was learned instead."""
    half = problem.half
    if half is None:
        raise ValueError(choice)
    chosen = {name: half.build(name, number) for name, number in choice.builds.items()}
    carriers = [each for name, each in chosen.items() if name in half.python_packages()]
    if problem.look_into(carriers):
        return None
    for limits in (_few_limits(half, chosen), tuple(map(_exactly, chosen.values()))):
        try:
            packages = solve_within(problem, limits, say)
        except CondaUnsatisfiableError as error:
            say(f"negotiation: conda refuses a choice: {error.headline}")
            continue
        found = clashes(problem, packages, choice)
        if learn_clashes(problem, found):
            return None
        if not found and _fit(packages, choice):
            return CondaAnswer(
                problem.asked.channels, "remote", packages, platform=problem.question.platform
            )
    problem.learned.refused.append(dict(choice.builds))
    return None


def solve_within(
    problem: JointProblem, limits: tuple[CondaSpec, ...], say: Say
) -> tuple[Package, ...]:
    """Return conda's solution within further constraints.

    Raises: as `Solver.solve`.
    """
    request = replace(problem.asked, constraints=(*problem.asked.constraints, *limits))
    return with_required_by(problem.tools.conda.solve(request, say))


def _few_limits(half: CondaHalf, chosen: Mapping[str, Package]) -> tuple[CondaSpec, ...]:
    """Return what a solve must keep to so that it fits pip's half; else it is conda's own."""
    carriers = set(half.python_packages())
    limits = []
    for name, build in chosen.items():
        if name in carriers:
            limits.append(_exactly(build))
        elif name in half.requested:
            limits.append(CondaSpec(name, f"=={build.version}"))
    limits += [CondaSpec(name, "*", _NO_BUILD) for name in sorted(carriers - chosen.keys())]
    return tuple(limits)


def _exactly(build: Package) -> CondaSpec:
    return CondaSpec(build.name, f"=={build.version}", build.build or "")


def _fit(packages: tuple[Package, ...], choice: Choice) -> bool:
    """Tell whether conda brings of the chosen distributions just those that are to be its."""
    owned = {
        name: version
        for each in packages
        for name, version in (each.conda.distributions if each.conda else ())
    }
    return all(
        (each.name in choice.stubs) == (each.name in owned)
        and Version(owned.get(each.name, each.version)) == Version(each.version)
        for each in choice.resolved
    )
