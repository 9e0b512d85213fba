"""A program of the release, for code that runs programs by their paths."""

from __future__ import annotations

import os
from pathlib import Path

from elt_env.errors import InputError, ToolError
from elt_env.project.settings import open_project
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store


def released_tool(program: str, target: str = "", project: Path | None = None) -> Path:
    """Return the path of a released program, and never that of another one of the name.

    It stays the same when the release moves, and then runs what is released: hand it to
    `DbtCliResource(dbt_executable=…)` or `PipesSubprocessClient`, as text.

    Args:
        program: its name, as in `dbt`.
        target: as in `elt@3.11`; an environment alone stands for its first Python, and nothing
            for the first environment of the policy.
        project: directory of the project; by default ELT_ENV_PROJECT, else the current one.

    Raises:
        InputError: `program` is a path.
        PolicyError: there is no such environment, or no policy.
        IntegrityError: the entry points lead to another release than the newest.
        ToolError: nothing is released, or the release has no such program.
    """
    if Path(program).name != program or program in ("", ".."):
        raise InputError(f"'{program}' is not the name of a program.", "Write it as in: dbt")
    opened = open_project(project)
    full = opened.target_name(target or opened.first)
    policy = opened.environment(full.partition("@")[0])
    kept = Store(opened.local_home, documents=opened.documents)
    store = ReleaseStore(kept)
    path = store.entry_points(full) / program
    if kept.shared and os.access(path, os.X_OK):
        return path  # as long as it is here it runs, whatever is released elsewhere
    store.require_led(full)
    if store.current(full) is None:
        raise ToolError(f"Nothing of {full} is released.", f"Build it: elt-env build {full}")
    if not os.access(path, os.X_OK):
        raise ToolError(
            f"The release of {full} has no program '{program}'.",
            f"Add what brings it to {policy.spec}, and run: elt-env build {full}",
        )
    return path
