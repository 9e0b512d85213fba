"""The check that a second resolver comes to the same answer."""

from __future__ import annotations

from elt_env.environment.prefix import Prefix
from elt_env.lock.comparison import asks_pip, compare_with, maker_of
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge


def solver_differences(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Asked what the lock was made from, another resolver chooses the same versions.

    That is pip's own, or uv where another made the lock; see `compare_with`. Another choice is a
    warning: both may be right.
    """
    lock = prefix.lock
    if not asks_pip(lock):
        return Finding("passed", "the lock has nothing of pip's")
    name = "pip" if maker_of(lock).startswith("uv ") else "uv"
    found = compare_with(name, lock, tools.files, tools.resolver_named, say)
    if found.conflict:
        told = f"{name} finds no solution where {found.maker} did"
        return Finding("warned", told, found.conflict)
    passed = f"{found.packages} packages resolved by {name} as by {found.maker}"
    count = f"{len(found.differences)} of {found.packages} packages"
    told = f"{name} differs from {found.maker} in {count}"
    note = f"; no date says to {name} what was out: it was offered nothing newer than locked"
    summary = (told if found.differences else passed) + (note if found.is_barred else "")
    return judge((), summary, notes=found.differences)
