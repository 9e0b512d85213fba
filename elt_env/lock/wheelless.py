"""Find what an environment needs that has no wheel on its indexes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from elt_env.errors import UnsatisfiableError
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.make import resolve, solve_unless_kept
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.project.project import Project


def without_wheel(
    target: Target, project: Project, open_tools: Callable[[Project, str], LockTools], say: Say
) -> tuple[Package, ...]:
    """Return the sdists of the lock that takes as few as it can; no lock is written.

    What is there as an sdist only is let in as a refusal names it, or as it holds back what was
    asked for, until there is an answer: what has a wheel that would do is not taken as an sdist
    because that is newer.

    Args:
        target: what would be locked.
        project: under whose policy.
        open_tools: returns the tools of an environment of a project.
        say: told of progress.

    Raises: as `elt_env.lock.make.lock`.
    """
    allowed = project.policy.allow_sdist
    while True:  # each time with one more distribution
        policy = project.policy.model_copy(update={"allow_sdist": allowed})
        tools = open_tools(replace(project, policy=policy), target.environment)
        try:
            found = solve_unless_kept(target, tools, say, upgrade=None, in_one_go=True)
            lock = resolve(found, tools, say).lock
            lacking = tuple(name for each in lock.held_back for name in each.wheelless)
        except UnsatisfiableError as error:
            if {*error.sdist_only} <= {*allowed}:
                raise
            lock, lacking = None, error.sdist_only
        more = [each for each in dict.fromkeys(lacking) if each not in allowed]
        if lock and not more:
            return tuple(e for e in lock.pip if e.built is None and _is_sdist(e.file_name))
        say(f"wheelhouse: there is no wheel of {', '.join(more)}")
        allowed = (*allowed, *more)


def _is_sdist(file_name: str) -> bool:
    return not file_name.endswith(".whl")
