"""A lock in the file formats of other tools, as far as these can carry it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import yaml

from elt_env.lockfile import (
    conda_lock,
    devcontainer,
    dockerfile,
    pixi_lock,
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
        conda: whether it installs conda's packages from where they are locked.
        platforms: whether `render` takes the locks of other platforms behind the first.
    """

    lost: str
    render: Callable[..., str]
    folder: str = ""
    files: Callable[[Lock], Mapping[str, str]] | None = None
    conda: bool = False
    platforms: bool = False


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


_BOUNDS = "the bounds of pip's packages on each other"
_SCRIPTS = "the checks, and what conda's activation scripts do"

FORMATS: Mapping[str, Format] = {
    "environment": Format(
        "the hashes, and from which index pip's half comes", _environment, conda=True
    ),
    "explicit": Format("pip's half", conda_lock.render, conda=True),
    "conda-lock": Format(_BOUNDS, unified_lock.render, conda=True, platforms=True),
    "pixi": Format(_BOUNDS, pixi_lock.render, conda=True, platforms=True),
    "dockerfile": Format(_SCRIPTS, dockerfile.render, conda=True),
    "devcontainer": Format(
        _SCRIPTS, devcontainer.render, devcontainer.FOLDER, devcontainer.files, conda=True
    ),
    "requirements": Format("conda's half", requirements.render),
    "pylock": Format("conda's half", pylock.render),
    "constraints": Format("the hashes, and what is no Python distribution", _constraints),
}
"""By name, what a lock can be written as."""
