"""The checks on a prefix. Each says in its docstring what holds when it passes."""

from elt_env.stages.checks.content import mixed_managers
from elt_env.stages.checks.finding import Check, Finding
from elt_env.stages.checks.imports import extra_imports, imports
from elt_env.stages.checks.isolation import isolation
from elt_env.stages.checks.native import binary_abi, native_libraries
from elt_env.stages.checks.repeat import reproducible
from elt_env.stages.checks.requirements import pip_check
from elt_env.stages.checks.resolvers import solver_differences
from elt_env.stages.checks.scripts import console_scripts
from elt_env.stages.checks.smoke_dagster import dagster_smoke
from elt_env.stages.checks.smoke_dbt import dbt_smoke
from elt_env.stages.checks.smoke_meltano import meltano_smoke

__all__ = ["CHECKS", "HEALTH_CHECKS", "SMOKE_CHECKS", "Check", "Finding"]

SMOKE_CHECKS: dict[str, Check] = {
    "meltano_smoke": meltano_smoke,
    "dbt_smoke": dbt_smoke,
    "dagster_smoke": dagster_smoke,
}
"""The checks that work with the tools of the environment, by name; each has a job of its own."""

CHECKS: dict[str, Check] = {"pip_check": pip_check, "imports": imports, **SMOKE_CHECKS}
"""The checks that a build ends with, by name; each is blocking."""

HEALTH_CHECKS: dict[str, Check] = {
    "pip_check": pip_check,
    "mixed_managers": mixed_managers,
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
"""Every check, those of CHECKS among them, by name, the cheap ones first."""
