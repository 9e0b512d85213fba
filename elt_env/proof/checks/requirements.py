"""The check that what is installed fits together, as pip sees it."""

from __future__ import annotations

from elt_env.environment.prefix import Prefix
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, first
from elt_env.spec.extras import InstalledMetadata, unmet_extras

_PIP = "pip: "


def pip_check(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Every distribution finds the distributions it needs, in versions that it admits.

    Those among them that the extras need which the spec or another distribution asks for.
    """
    faults = (*tools.installer.inconsistencies(prefix.path, say), *_of_extras(prefix))
    if faults:
        return Finding("failed", first(faults), "\n".join(faults))
    return Finding("passed", f"{len(prefix.lock.distributions)} distributions fit together")


def _of_extras(prefix: Prefix) -> list[str]:
    lock = prefix.lock
    pip = [each.removeprefix(_PIP) for each in lock.requirements if each.startswith(_PIP)]
    installed = {
        each.name: InstalledMetadata(each.version, each.installed.requires or ())
        for each in prefix.distributions()
    }
    return unmet_extras(pip, installed, lock.python.version)
