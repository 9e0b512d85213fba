"""The environment that the path of a spec stands for."""

from __future__ import annotations

from pathlib import Path

from elt_env.errors import InputError
from elt_env.package.target import names_target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project


def is_file(text: str) -> bool:
    """Tell whether what a person typed in a target's place is the path of a spec, or its place."""
    if names_target(text):
        return False
    if "/" in text or text in (".", "..") or text.endswith((".yml", ".yaml")):
        return True
    if text != "Pipfile" and "." not in text.partition("@")[0]:
        return False
    from elt_env.spec.foreign.read import is_foreign  # which most targets do not need

    return is_foreign(text)


def environment_of(file: Path, project: Project) -> str:
    """Return the name of the environment that was made from a file.

    Raises:
        InputError: none was.
    """
    file = spec_at(file)
    named = listed_as(file, project) or next(
        (name for name, each in project.unlisted.items() if is_spec_of(each, file, project)), None
    )
    if named is None:
        raise InputError(
            f"Nothing was built from {file} in the store {project.documents.place('')}.",
            f"Build it first: elt-env build {file}",
        )
    return named


def spec_at(path: Path) -> Path:
    """Return the spec that a path means: itself, or the one that conda takes in a directory."""
    names = ("environment.yml", "environment.yaml") if path.is_dir() else ()
    found = next((path / each for each in names if (path / each).is_file()), path)
    if found.is_dir():
        raise InputError(
            f"There is no environment.yml in the directory {path}.", "Name the file of a spec."
        )
    return found


def listed_as(file: Path, project: Project) -> str | None:
    """Return the environment of the policy whose spec is that file; None where there is none."""
    for name, each in project.policy.environments.items():
        if is_spec_of(each, file, project):
            return name
    return None


def is_spec_of(environment: EnvironmentPolicy, file: Path, project: Project) -> bool:
    """Tell whether a file is the spec of an environment."""
    return (project.root / environment.spec).resolve() == file.resolve()
