"""The checks on a prefix. Each says in its docstring what holds when it passes."""

from elt_env.proof.checks.conda_scripts import conda_scripts
from elt_env.proof.checks.content import mixed_managers
from elt_env.proof.checks.finding import Check, Finding
from elt_env.proof.checks.imports import extra_imports, imports
from elt_env.proof.checks.isolation import isolation
from elt_env.proof.checks.native import binary_abi, native_libraries
from elt_env.proof.checks.repeat import reproducible
from elt_env.proof.checks.requirements import pip_check
from elt_env.proof.checks.resolvers import solver_differences
from elt_env.proof.checks.scripts import console_scripts
from elt_env.proof.checks.smoke_dagster import dagster_smoke
from elt_env.proof.checks.smoke_dbt import dbt_smoke
from elt_env.proof.checks.smoke_meltano import meltano_smoke
from elt_env.proof.checks.startup_code import startup_code

__all__ = ["CHECKS", "HEALTH_CHECKS", "NOT_BLOCKING", "SMOKE_CHECKS", "Check", "Finding"]

SMOKE_CHECKS: dict[str, Check] = {
    "meltano_smoke": meltano_smoke,
    "dbt_smoke": dbt_smoke,
    "dagster_smoke": dagster_smoke,
}
"""The checks that work with the tools of the environment, by name; each has a job of its own."""

HEALTH_CHECKS: dict[str, Check] = {
    "pip_check": pip_check,
    "mixed_managers": mixed_managers,
    "conda_scripts": conda_scripts,
    "startup_code": startup_code,
    "isolation": isolation,
    "native_libraries": native_libraries,
    "binary_abi": binary_abi,
    "extra_imports": extra_imports,
    "console_scripts": console_scripts,
    "imports": imports,
    "reproducible": reproducible,
    "solver_differences": solver_differences,
    **SMOKE_CHECKS,
}
"""Every check, by name, the cheap ones first."""

NOT_BLOCKING = ("console_scripts", "reproducible", "solver_differences")
"""The health checks that nothing waits for, and that a build leaves out.

Each takes ten seconds and more, and a finding of theirs is worth knowing but does not say that the
environment does not work: another resolver may choose otherwise, a file may differ between two
builds of one lock, and an entry point may want something that nobody here uses. What any other
check finds is a fault that a tool will run into.
"""

CHECKS: dict[str, Check] = {
    name: check for name, check in HEALTH_CHECKS.items() if name not in NOT_BLOCKING
}
"""The checks that a build ends with, by name; each is blocking."""
