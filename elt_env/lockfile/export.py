"""A lock in the file formats of other tools, as far as these can carry it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import yaml

from elt_env.lockfile import (
    conda_lock,
    devcontainer,
    dockerfile,
    pylock,
    requirements,
    unified_lock,
)
from elt_env.lockfile.document import Lock, Package


@dataclass(frozen=True)
class Format:
    """A format that other tools read.

    Attributes:
        lost: what of the lock it cannot carry.
        render: returns a lock in it.
        folder: where a format of several files has them; "" where it is one file.
        files: returns these files by their names.
    """

    lost: str
    render: Callable[[Lock], str]
    folder: str = ""
    files: Callable[[Lock], Mapping[str, str]] | None = None


def _environment(lock: Lock) -> str:
    """Return an environment.yml that pins every package, which conda and this program read."""
    conda: list[object] = [f"{each.name}={each.version}={each.build}" for each in lock.conda]
    if lock.interpreter:
        conda = [f"python={lock.target.python}", "pip"]
    pip = [{"pip": [*map(_pip_line, lock.pip)]}] if lock.pip else []
    content: dict[str, object] = {
        "name": lock.target.environment,
        "channels": list(lock.channels),
        "dependencies": conda + pip,
    }
    if lock.variables:
        content["variables"] = dict(lock.variables)
    return f"{lock.heading}\n" + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _constraints(lock: Lock) -> str:
    """Return a constraints file of all Python distributions, conda's too."""
    lines = (f"{name}=={version}\n" for name, version in sorted(lock.distributions.items()))
    return f"{lock.heading}\n" + "".join(lines)


def _pip_line(package: Package) -> str:
    if package.index is None:
        return f"{package.name} @ {package.origin}"
    return f"{package.name}=={package.version}"


FORMATS: Mapping[str, Format] = {
    "environment": Format("the hashes, and from which index pip's half comes", _environment),
    "explicit": Format("pip's half", conda_lock.render),
    "conda-lock": Format("the bounds of pip's packages on each other", unified_lock.render),
    "dockerfile": Format("the checks, and what conda's activation scripts do", dockerfile.render),
    "devcontainer": Format(
        "the checks, and what conda's activation scripts do",
        devcontainer.render,
        devcontainer.FOLDER,
        devcontainer.files,
    ),
    "requirements": Format("conda's half", requirements.render),
    "pylock": Format("conda's half", pylock.render),
    "constraints": Format("the hashes, and what is no Python distribution", _constraints),
}
"""By name, what a lock can be written as."""
