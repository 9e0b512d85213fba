"""The check that the lock alone decides what is in a prefix."""

from __future__ import annotations

import re

from elt_env.environment.prefix import Prefix
from elt_env.environment.second_prefix import second_prefix
from elt_env.environment.tree import differences
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge

_SHA256 = re.compile(r"[0-9a-f]{64}")


def reproducible(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Everything is locked with its sha256, and building the prefix once more gives the same tree.

    The same files with the same content and permissions, but for the prefix's own path and what
    installers note of it, see `environment.tree`, and compiled modules, which come of the others.
    The second one is removed again.
    """
    lock = prefix.lock
    faults = [
        f"{each.name} {each.version} of {each.manager} is locked without its sha256"
        for each in lock.packages
        if not _SHA256.fullmatch(each.sha256)
    ]
    if faults:
        return judge(faults, "")
    with second_prefix(lock, tools, say) as second:
        faults = differences(prefix.path, second.path)
    for each in faults:
        say(f"reproducible: {each}")
    return judge(faults, f"{len(lock.packages)} packages, built twice, give the same tree")
