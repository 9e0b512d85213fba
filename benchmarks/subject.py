"""What is measured: a built prefix of a project."""

from __future__ import annotations

import sys
from pathlib import Path

from elt_env.environment.build import require_lock
from elt_env.environment.prefix import Prefix
from elt_env.errors import InputError
from elt_env.package.platform import this_platform
from elt_env.package.target import parse_target
from elt_env.project.settings import open_project
from elt_env.tools import Tools, open_tools


def positive(text: str) -> int:
    """Return a number that is above 0; ValueError for any other text."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def print_line(line: str, *_: int) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def built(root: Path, target: str | None) -> tuple[Prefix, Tools]:
    """Return a built prefix of a project, that of `target` if one is given, and its tools.

    Raises:
        InputError: there is none, or no project.
    """
    project = open_project(root)
    every = [
        f"{environment}@{python}"
        for environment, policy in project.policy.environments.items()
        for python in policy.pythons
    ]
    for name in [target] if target else every:
        tools = open_tools(project, name.partition("@")[0])
        wanted = parse_target(name, this_platform())
        if tools.store.pointer(wanted) is None:
            continue
        lock = require_lock(wanted, tools.store)
        prefix = Prefix(tools.store.prefix_path(lock), lock)
        if prefix.ready:
            return prefix, tools
    raise InputError(
        f"{project.root} has no built prefix of {target or ' or '.join(every)}.",
        "Build one with: make run",
    )
