"""What a person means by a target."""

from __future__ import annotations

from pathlib import Path

from elt_env.errors import InputError
from elt_env.model import lock_json
from elt_env.model.lock import Lock
from elt_env.model.target import Target, parse_target
from elt_env.stages.build import require_lock
from elt_env.tools.prefix import Prefix
from elt_env.tools.settings import Project, open_project
from elt_env.tools.store import read_lock_directory
from elt_env.tools.toolbox import Toolbox, open_toolbox


def open_target(name: str) -> tuple[Target, Toolbox]:
    """Return the target that `name` means, with or without a Python, and its tools."""
    project = open_project()
    toolbox = open_toolbox(project, name.split("@", maxsplit=1)[0])
    target = parse_target(full_name(name, project), "")
    return toolbox.target(target.environment, target.python), toolbox


def full_name(name: str, project: Project) -> str:
    """Return the target that an environment alone stands for; any other text as it is."""
    environment = project.policy.environments.get(name)
    return f"{name}@{environment.pythons[0]}" if environment else name


def lock_in(directory: str, target: Target) -> Lock:
    """Return the lock in a directory, which is one of the target.

    Raises:
        InputError: there is none.
        IntegrityError: it is another target's, or was changed by hand.
    """
    if not Path(directory, lock_json.FILE_NAME).is_file():
        raise InputError(
            f"There is no {lock_json.FILE_NAME} in {directory}.",
            f"Name the directory of a lock, as elt-env show {target.name} --json tells it.",
        )
    return read_lock_directory(Path(directory), target)


def ready_prefix(name: str) -> Prefix:
    """Return the built prefix of a target.

    Raises:
        InputError: it is not built.
    """
    target, toolbox = open_target(name)
    current = require_lock(target, toolbox)
    prefix = Prefix(toolbox.store.prefix_path(current), current)
    if not prefix.ready:
        raise InputError(f"{target.name} is not built.", f"Build it: elt-env build {target.name}")
    return prefix
