"""The checks on a prefix. Each says in its docstring what holds when it passes."""

from elt_env.stages.checks.content import mixed_managers
from elt_env.stages.checks.finding import Check, Finding
from elt_env.stages.checks.imports import extra_imports, imports
from elt_env.stages.checks.isolation import isolation
from elt_env.stages.checks.native import binary_abi, native_libraries
from elt_env.stages.checks.requirements import pip_check
from elt_env.stages.checks.scripts import console_scripts

__all__ = ["CHECKS", "HEALTH_CHECKS", "Check", "Finding"]

CHECKS: dict[str, Check] = {"pip_check": pip_check, "imports": imports}
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
}
"""Every check, those of CHECKS among them, by name, the cheap ones first."""
