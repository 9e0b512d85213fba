"""The programs conda, mamba and micromamba: where they are, and how they are called.

Nothing is activated, and no settings of their user are read: they get channels of this disk alone,
so there is nothing to log in to. Their options are those of their documentation:
https://docs.conda.io/projects/conda/en/stable/commands/create.html and
https://mamba.readthedocs.io/en/latest/user_guide/micromamba.html.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from elt_env.errors import ToolError
from elt_env.machine.process import Completed, Say, clean_environment, end_of, run
from elt_env.project.policy import ChannelPriority
from elt_env.runtime.files import write_atomically

_ASK = 60.0  # seconds that a program has to tell its version
_SHELLS = {"conda": "CONDA_EXE", "mamba": "MAMBA_EXE", "micromamba": "MAMBA_EXE"}
# What settings of a machine could change, though those of the user are out of reach.
_FIXED = {
    "CONDA_ADD_PIP_AS_PYTHON_DEPENDENCY": "false",  # channels say what Python needs
    "CONDA_ALLOWLIST_CHANNELS": "",
    "CONDA_AUTO_UPDATE_CONDA": "false",
    "CONDA_NOTIFY_OUTDATED_CONDA": "false",
    "CONDA_NUMBER_CHANNEL_NOTICES": "0",
    "CONDA_PINNED_PACKAGES": "",
    "CONDA_REGISTER_ENVS": "false",
    "CONDA_REPORT_ERRORS": "false",
    "CONDA_USE_ONLY_TAR_BZ2": "false",
    "CONDARC": os.devnull,
}
_GET = (
    "Install it (miniforge has conda and mamba; micromamba is one file), so that it is on PATH, or "
    'name its place in [tool.elt-env]: conda = "/…/bin/{name}". The embedded rattler needs no '
    'program: conda = "rattler".'
)


class ProgramError(Exception):
    """A program did not do what it was asked; its words are the message.

    Attributes:
        is_unsatisfiable: whether it says that nothing satisfies what it was asked.
    """

    def __init__(self, text: str, *, is_unsatisfiable: bool) -> None:
        super().__init__(text)
        self.is_unsatisfiable = is_unsatisfiable


@dataclass(frozen=True)
class Program:
    """One of the programs.

    Attributes:
        path: where it is.
        limit: seconds that one run may take.
    """

    path: Path
    limit: float

    @property
    def name(self) -> str:
        """Which of the programs it is."""
        return self.path.name

    @cached_property
    def version(self) -> str:
        """Its version.

        Raises:
            ToolError: it does not tell.
        """
        done = run([self.path, "--version"], limit=_ASK)
        words = done.stdout.partition("\n")[0].split()
        if done.returncode or not words:
            raise ToolError(
                f"{self.path} does not tell its version: {end_of(done.stderr or done.stdout, 5)}",
                f"Try it yourself: {self.path} --version",
            )
        return words[-1]

    @cached_property
    def is_conda(self) -> bool:
        """Whether it takes conda's options: mamba does before version 2."""
        return self.name == "conda" or (self.name == "mamba" and self.version.startswith("1."))

    def solve(  # noqa: PLR0913  # one keyword for each part of a request
        self,
        names: Sequence[str],
        *,
        channels: Sequence[str],
        platform: str,
        priority: ChannelPriority,
        place: Path,
        say: Say,
    ) -> Sequence[Mapping[str, Any]]:
        """Return the packages that it would link for names on channels.

        Args:
            names: what is asked for, at any version.
            channels: URLs of channels of this disk, the first has priority.
            platform: the conda subdir to solve for.
            priority: how the order of the channels counts.
            place: a directory for whatever it keeps.
            say: told that it still runs.

        Raises:
            ProgramError: it finds no solution, or failed.
            TimeLimitError: it was too slow.
        """
        where = ["--override-channels"]
        where += [part for each in channels for part in ("--channel", each)]
        own = ["--no-default-packages", "--repodata-fn", "repodata.json"]
        other = ["--platform", platform, "--channel-priority", priority, "--no-pin"]
        asked = ["--dry-run", "--json", *where, *(own if self.is_conda else other)]
        variables = {"CONDA_SUBDIR": platform, "CONDA_CHANNEL_PRIORITY": priority}
        answer = self._create(place / "prefix", place, [*asked, *names], variables, say)
        actions = answer.get("actions") or {}
        if "LINK" not in actions:
            raise ProgramError("it does not say what it would link", is_unsatisfiable=False)
        linked: Sequence[Mapping[str, Any]] = actions["LINK"]
        return linked

    def link(
        self, archives: Iterable[tuple[Path, str]], prefix: Path, place: Path, say: Say
    ) -> None:
        """Make a prefix of archives on this disk, whose bytes are known to be right.

        Args:
            archives: each with its md5, or "".
            prefix: the prefix; what is there goes.
            place: a directory for whatever it keeps, on the disk of the prefix.
            say: told that it still runs.

        Raises:
            ProgramError: it failed.
            TimeLimitError: it was too slow.
        """
        lines = [path.absolute().as_uri() + (f"#{md5}" if md5 else "") for path, md5 in archives]
        write_atomically(place / "explicit.txt", "\n".join(["@EXPLICIT", *lines, ""]))
        own = ["--offline"] if self.is_conda else ["--no-pyc"]
        self._create(prefix, place, [*own, "--file", str(place / "explicit.txt")], {}, say)

    def _create(
        self,
        prefix: Path,
        place: Path,
        options: Sequence[str],
        variables: Mapping[str, str],
        say: Say,
    ) -> Mapping[str, Any]:
        """Return what it answers to `create`, with its caches and its home in a place."""
        start = ["create", "--yes", "--quiet", "--prefix", str(prefix)]
        if not self.is_conda:
            start += ["--no-rc", "--root-prefix", str(place / "root")]
        home = {
            "HOME": str(place / "home"),
            "XDG_CONFIG_HOME": str(place / "home"),
            "CONDA_PKGS_DIRS": str(place / "pkgs"),
            "MAMBA_ROOT_PREFIX": str(place / "root"),
        }
        (place / "home").mkdir(exist_ok=True)
        solver = os.environ.get("CONDA_SOLVER")
        chosen = {"CONDA_SOLVER": solver} if solver else {}
        done = run(
            [self.path, *start, *options],
            limit=self.limit,
            env=clean_environment(extra=_FIXED | home | chosen | dict(variables)),
            cwd=place,
            say=lambda line: say(line) if line.startswith("... ") else None,  # the rest is JSON
        )
        return _answer(done)


def _answer(done: Completed) -> Mapping[str, Any]:
    """Return the JSON that a program printed, if any: not asked for it, it tells more of errors."""
    start, end = done.stdout.find("{"), done.stdout.rfind("}")
    try:
        answer = json.loads(done.stdout[start : end + 1])
    except ValueError:
        answer = {}
    if done.returncode or not answer.get("success", True):
        problems = answer.get("solver_problems") or ()
        text = answer.get("message") or "\n".join(map(str, problems)) or done.stderr or done.stdout
        kind = str(answer.get("exception_name", ""))
        unsatisfiable = bool(problems) or "Unsatisfiable" in kind or "NotFound" in kind
        raise ProgramError(text.strip(), is_unsatisfiable=unsatisfiable)
    return dict(answer)


def find_program(setting: str, limit: float) -> Program:
    """Return the program that a policy names.

    Args:
        setting: `conda`, `mamba` or `micromamba`, or the path of one.
        limit: seconds that one run of it may take.

    Raises:
        ToolError: it is not there; the remedy says how to get it.
    """
    path = Path(setting)
    if path.is_absolute():
        found = str(path) if os.access(path, os.X_OK) else None
    else:
        # In a shell that conda has set up, its name is a function and the program off PATH.
        shell = os.environ.get(_SHELLS[setting], "")
        found = shutil.which(setting) or (shell if Path(shell).name == setting else None)
    if found is None:
        raise ToolError(
            f'The policy says conda = "{setting}", and there is no {setting} '
            f"{'at that place' if path.is_absolute() else 'on PATH'}.",
            _GET.format(name=path.name),
        )
    return Program(Path(found).absolute(), limit)
