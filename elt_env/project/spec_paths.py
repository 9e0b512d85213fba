"""The environment that the path of a spec stands for."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from elt_env.errors import InputError
from elt_env.package.target import Target, environment_name, names_target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.project import Project
from elt_env.project.unlisted import relative_spec

if TYPE_CHECKING:
    from elt_env.spec.document import Spec


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


def typed_for(target: Target, spec: Spec, project: Project) -> str:
    """Return what a person types for a target: its name, or the file that no policy lists.

    The file's Python and name are with it where another would be taken without them.
    """
    if target.environment in project.policy.environments:
        return target.name
    from elt_env.spec.conda_bounds import admitted_minors  # which most commands do not need

    file = project.root / spec.source
    words = [relative_spec(file, Path.cwd())]
    if len(admitted_minors(spec.python)) > 1:
        words += ["--python", target.python]
    if target.environment != environment_name(spec.name, file):
        words += ["--name", target.environment]
    return shlex.join(words)


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
