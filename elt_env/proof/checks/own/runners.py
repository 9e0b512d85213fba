"""Run the commands of a team's own check with the tools of a prefix or of an image."""

from __future__ import annotations

import logging
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from elt_env.environment.prefix import Prefix
from elt_env.environment.scratch_dir import ScratchDir
from elt_env.errors import ToolError
from elt_env.image.sandbox import Bind, Sandbox, Task, run_in
from elt_env.machine.environment_variables import prefix_environment
from elt_env.machine.process import Completed, Say, run
from elt_env.proof.checks.image_subject import WORK, hand_over

_SYSTEM_PATH = ("/usr/sbin", "/usr/bin", "/sbin", "/bin")  # the system's own, and nothing local

Start = Callable[[Sequence[str | Path], Mapping[str, str], Path, float], Completed]
"""Runs a command with these variables in a directory for at most so many seconds."""
Snapshot: TypeAlias = Mapping[str, tuple[int, ...]]
"""By path, what changes when a file is written: inode, mode, size and time."""


def in_prefix(prefix: Prefix, place: ScratchDir, say: Say, secrets: Sequence[str]) -> Start:
    """Return what runs commands with the tools of a prefix."""
    own = {"HOME": str(place.directory("home")), "TMPDIR": str(place.directory("tmp"))}

    def start(
        command: Sequence[str | Path], extra: Mapping[str, str], cwd: Path, limit: float
    ) -> Completed:
        program = _program(command[0], prefix, cwd)
        return run(
            [program, *command[1:]],
            limit=limit,
            env=_variables(prefix, own, extra),
            cwd=cwd,
            say=lambda line: say(f"{Path(program).name}: {line}", logging.DEBUG),
            secrets=secrets,
            merge=True,
        )

    return start


def _variables(
    prefix: Prefix, own: Mapping[str, str], extra: Mapping[str, str]
) -> Mapping[str, str]:
    """Return the variables of a command: nothing of the user's own but what is handed on.

    Only the prefix's programs and the system's own are on PATH: no other's dbt is there.
    """
    env = prefix_environment(prefix.path, extra={**own, **extra})
    inside = [
        each for each in env["PATH"].split(os.pathsep) if Path(each).is_relative_to(prefix.path)
    ]
    path = os.pathsep.join([*inside, *_SYSTEM_PATH])
    kept = {key: each for key, each in env.items() if key in extra or not key.startswith("XDG_")}
    return {**kept, "PATH": extra.get("PATH", path)}


def _program(name: str | Path, prefix: Prefix, cwd: Path) -> str:
    """Return the program of a prefix; never one of this machine but its shell.

    Raises:
        ToolError: the prefix has none of that name.
    """
    text = os.fspath(name)
    if "/" in text:
        return str(cwd / text)
    found = shutil.which(text, path=str(prefix.path / "bin"))
    if found:
        return found
    if text in ("sh", "bash"):
        return shutil.which(text, path=os.pathsep.join(_SYSTEM_PATH)) or text
    raise ToolError(
        f"{prefix.lock.target.name} has no program '{text}'; this machine's is not taken.",
        "Add what brings it to the spec; or name a file of the project, as ./check.sh, "
        "or sh -c '…'.",
    )


def in_image(  # noqa: PLR0913, PLR0917  # what a command is run with
    sandbox: Sandbox,
    place: ScratchDir,
    say: Say,
    secrets: Sequence[str],
    seen: Callable[[str], str],
    handed_on: Mapping[str, str],
) -> Start:
    """Return what runs commands with the tools of an image, as its user.

    Args:
        sandbox: what they run in.
        place: the directory of this run, which is seen in the image.
        say: told what they print.
        secrets: texts that are masked.
        seen: as `seen_in_image` returns it.
        handed_on: variables of the user, whose values stay as they are.
    """
    own = {"HOME": str(place.directory("home")), "TMPDIR": str(place.directory("tmp"))}

    def start(
        command: Sequence[str | Path], extra: Mapping[str, str], cwd: Path, limit: float
    ) -> Completed:
        hand_over(place.path, sandbox.owner)
        task = Task(
            command=tuple(seen(os.fspath(each)) for each in command),
            variables={
                name: value if name in handed_on else seen(value)
                for name, value in {**own, **extra}.items()
            },
            directory=seen(str(cwd)),
            binds=(Bind(place.path, WORK),),
            network=True,
        )
        name = Path(command[0]).name
        return run_in(
            sandbox,
            task,
            limit=limit,
            say=lambda line: say(f"image: {name}: {line}", logging.DEBUG),
            secrets=secrets,
        )

    return start


def snapshot(root: Path) -> Snapshot:
    """Return what lies below a directory now; what cannot be looked at is left out."""
    found: dict[str, tuple[int, ...]] = {}
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)  # noqa: PTH118  # of tens of thousands
            try:
                seen = os.lstat(path)
            except OSError:
                continue
            found[path] = (seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns)
    return found


def changed(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return the paths that are there in one alone, or that were written, sorted."""
    return tuple(
        sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    )
