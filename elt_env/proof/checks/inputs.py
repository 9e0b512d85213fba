"""Inputs of checks beside the prefix or the image; evidence holds while they stay the same."""

from __future__ import annotations

import platform
from collections.abc import Mapping

from elt_env.environment.file_list import seal_of
from elt_env.environment.prefix import Prefix
from elt_env.environment.scratch_dir import digest_of_project
from elt_env.lock.plugin_locks import read_plugin_lock
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import digest_of
from elt_env.project.own_checks import IN_IMAGE, MeltanoCheck
from elt_env.project.project import Project
from elt_env.proof.checks import smoke_dagster, smoke_dbt, smoke_meltano
from elt_env.proof.checks.image import IMAGE_CHECKS
from elt_env.proof.checks.own import own_check_inputs
from elt_env.proof.checks.plugins import SMOKE
from elt_env.proof.smoke_projects import smoke_project
from elt_env.store.evidence import PLACE, PREFIX
from elt_env.store.locks import Store

_VERSIONS = {
    "imports": 5,
    "isolation": 2,
    "pip_check": 2,
    "mixed_managers": 3,
    "dbt_smoke": 2,
    "dagster_smoke": 2,
}
"""Versions of checks; a change of what a check finds raises its number, which starts at 1."""

NOT_LOCKED = "not locked"
"""What stands for the lock of plugins before there is one."""

_PROJECTS: dict[str, tuple[str, ...]] = {
    "meltano_smoke": smoke_meltano.NEEDS.projects,
    "dbt_smoke": smoke_dbt.NEEDS.projects,
    "dagster_smoke": smoke_dagster.NEEDS.projects,
    "image_runs": (smoke_dbt.PROJECT,),
}
_MELTANO = ("meltano_smoke", "dbt_smoke")
_POLICY: dict[str, tuple[str, ...]] = {
    "solver_differences": ("wheels_only", "allow_sdist"),
    "image_content": ("image_path",),
    "image_runs": ("image_path",),
}
_ENVIRONMENT_POLICY: dict[str, tuple[str, ...]] = {
    "imports": ("imports_allow",),
    "mixed_managers": ("shared_files",),
}


def check_inputs(name: str, lock: Lock, project: Project, store: Store) -> Mapping[str, str]:
    """Return everything that a check reads beside the image, by name.

    Of the prefix, it is what it held when it was sealed: built again at one place it holds the
    same, and elsewhere it does not. A prefix that is not there is not among them.

    Raises:
        StorageError: a project cannot be read.
    """
    environment = project.environment(lock.target.environment)
    own = environment.checks.get(name.removesuffix(IN_IMAGE))
    on_image = name in IMAGE_CHECKS or (own is not None and name.endswith(IN_IMAGE))
    inputs = {"the check": str(_VERSIONS.get(name, 1)), "the machine": _machine(lock)}
    base = Prefix(store.prefix_path(lock), lock).base
    if base:
        inputs["the interpreter"] = base.identity_now
    seal = None if on_image else seal_of(store.prefix_path(lock))
    if seal:
        inputs[PREFIX] = seal
        if store.shared:
            inputs[PLACE] = str(store.prefix_path(lock))
    inputs |= plugin_inputs(name, lock, project, store)
    if own is not None:
        return {**inputs, **own_check_inputs(own, project)}
    for each in _PROJECTS.get(name, ()):
        inputs[f"project {each}"] = digest_of_project(smoke_project(project.root, each))
    for key in _POLICY.get(name, ()):
        inputs[_policy_name(key)] = digest_of(getattr(project.policy, key))
    for key in _ENVIRONMENT_POLICY.get(name, ()):
        inputs[_policy_name(key)] = digest_of(getattr(environment, key))
    return inputs


def plugin_inputs(name: str, lock: Lock, project: Project, store: Store) -> dict[str, str]:
    """Return the lock of the plugins that a check runs, which it may make itself.

    Raises:
        IntegrityError: it cannot be read.
    """
    own = name.removesuffix(IN_IMAGE)
    checks = project.environment(lock.target.environment).checks
    is_own = isinstance(checks.get(own), MeltanoCheck)
    if not is_own and (name not in _MELTANO or "meltano" not in lock.distributions):
        return {}
    kept = read_plugin_lock(store.documents, lock.target, own if is_own else SMOKE)
    return {"plugins": kept.digest if kept else NOT_LOCKED}


def _policy_name(key: str) -> str:
    return f"policy {key.replace('_', '-')}"


def _machine(lock: Lock) -> str:
    """Return the class of this machine: its conda subdir and its C library."""
    return " ".join((lock.target.platform, *platform.libc_ver())).rstrip()
