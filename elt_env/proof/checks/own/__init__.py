"""A team's own checks: their projects, run with the tools of a prefix or of an image.

Each kind has a module that says what is run and how its outcome is read.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import partial

from elt_env.errors import ToolError
from elt_env.package.canonical import digest_of
from elt_env.project.own_checks import IN_IMAGE, OwnCheck
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from elt_env.proof.checks.finding import Check
from elt_env.proof.checks.image_subject import ImageCheck
from elt_env.proof.checks.own.bench import Kind, conduct, conduct_in_image, files_of
from elt_env.proof.checks.own.command import run_command
from elt_env.proof.checks.own.dagster import validate_dagster
from elt_env.proof.checks.own.dbt import run_dbt
from elt_env.proof.checks.own.meltano import run_meltano
from elt_env.proof.checks.own.pytest import run_pytest

__all__ = ["description", "own_check_inputs", "own_checks", "own_image_checks"]

_KINDS = {
    "dbt": Kind("dbt-core", run_dbt),
    "meltano": Kind("meltano", run_meltano),
    "dagster": Kind("dagster", validate_dagster),
    "pytest": Kind("pytest", run_pytest),
    "command": Kind("", run_command),
}
_KIND_VERSIONS = {"dbt": 1, "meltano": 1, "dagster": 1, "pytest": 1, "command": 1}
"""Versions of the kinds; a change of what one finds raises its number."""

# What is not an input: how long it may take, and what comes of it.
_NOT_READ = {"limit", "blocking", "in_image", "kind"}


def own_checks(policy: EnvironmentPolicy) -> dict[str, Check]:
    """Return an environment's own checks on the prefix, by name."""
    return {
        name: partial(conduct, name=name, check=check, kind=_KINDS[check.kind])
        for name, check in policy.checks.items()
    }


def own_image_checks(policy: EnvironmentPolicy) -> dict[str, ImageCheck]:
    """Return an environment's own checks that run in the image as well, by their name there."""
    return {
        f"{name}{IN_IMAGE}": partial(
            conduct_in_image, name=name, check=check, kind=_KINDS[check.kind]
        )
        for name, check in policy.checks.items()
        if check.in_image
    }


def description(name: str, check: OwnCheck) -> str:
    """Return what a check of an environment's own does, for people."""
    words = " ".join(check.words)
    program = "" if check.kind == "command" else f"{check.kind} "
    where = check.places.get("project", "an empty directory")
    what = f"`{program}{words}`" if words else f"every job of {check.kind}"
    return f"{name}: {what} in a copy of {where}. {inspect.getdoc(check) or ''}"


def own_check_inputs(check: OwnCheck, project: Project) -> Mapping[str, str]:
    """Return everything that a check reads beside the prefix or the image, by name.

    Of the variables that are handed on it is their names: whoever releases need not know them.
    """
    inputs = {"the check": f"{check.kind} {_KIND_VERSIONS[check.kind]}"}
    for key, value in check.model_dump(mode="json", exclude=_NOT_READ).items():
        if value not in (None, [], ()):
            inputs[f"policy {key.replace('_', '-')}"] = digest_of(value)
    for key, place in check.places.items():
        inputs[f"{key} {place}"] = _digest(check, key, place, project)
    return inputs


def _digest(check: OwnCheck, key: str, place: str, project: Project) -> str:
    try:
        return files_of(check, key, place, project).digest()
    except ToolError as error:
        # The check says it at length, and is not run.
        return f"unusable: {error.problem}"
