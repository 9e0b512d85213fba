"""The check that conda and pip kept out of each other's way."""

from __future__ import annotations

from dataclasses import replace

from elt_env.environment.installed_files import installed_files
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_content import require_conda_untouched, require_installed_is_locked
from elt_env.errors import IntegrityError
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, judge


def mixed_managers(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Each distribution is there once, in the locked version, and its files are as installed.

    conda-meta holds the locked packages and no others, every file of conda's is as conda linked
    it, and every file that pip installed has the hash that a RECORD says. Files that several of
    pip's distributions bring with different content are named with whose is there.
    """
    del say
    faults = []
    for require in (require_installed_is_locked, require_conda_untouched):
        try:
            require(prefix)
        except IntegrityError as error:
            # The first line says that it is not as locked, the others where.
            faults += [line.strip() for line in error.problem.splitlines()[1:]]
    files = installed_files(prefix)
    conda, pip = len(prefix.lock.conda), len(prefix.lock.pip)
    halves = f"{conda} conda and {pip} pip packages"
    if prefix.lock.interpreter is not None:
        halves = f"conda does not apply to a venv; {pip} pip packages"
    passed = f"{halves}, each file as installed"
    if files.shared:
        passed += f"; {len(files.shared)} files brought by several of pip's"
    faults += files.changed
    shared = [str(each) for each in files.shared if each.matters]
    refused = (
        shared
        if tools.project.environment(prefix.lock.target.environment).shared_files == "refuse"
        else []
    )
    rest = "\n".join(str(each) for each in files.shared if not each.matters)
    notes = [] if refused else shared
    counts = {"shared_files": len(shared)}
    return replace(judge([*faults, *refused], passed, notes=notes, log=rest), counts=counts)
