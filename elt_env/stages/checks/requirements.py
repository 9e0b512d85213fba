"""The check that what is installed fits together, as pip sees it."""

from __future__ import annotations

from elt_env.stages.checks.finding import Finding, first
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox


def pip_check(prefix: Prefix, toolbox: Toolbox, say: Say) -> Finding:
    """Every distribution finds the distributions it needs, in versions that it admits."""
    faults = toolbox.installer.inconsistencies(prefix.path, say)
    if faults:
        return Finding("failed", first(faults), "\n".join(faults))
    return Finding("passed", f"{len(prefix.lock.distributions)} distributions fit together")
