"""A person at a terminal: types `elt-env`, with a small project and a store of their own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from tests.support.channel import Channel
from tests.support.commands import Site, make_site
from tests.support.index_server import IndexServer
from tests.support.project import make_project, write_spec
from tests.support.wheels import make_wheel

LIMIT = 120.0

# A program that tells how it was called.
_TOOL = """\
def main():
    import json, os, sys
    told = {"arguments": sys.argv[1:], "variables": dict(os.environ), "prefix": sys.prefix}
    json.dump(told | {"stdin": sys.stdin.read()}, sys.stdout)
    sys.exit(int(os.environ.get("TOOL_EXIT", "0")))
"""


@dataclass(frozen=True)
class Terminal:
    """Where `elt-env` is typed.

    The project's environment has Python from a channel in a directory, and `tool`, which needs
    `part`, from an index on 127.0.0.1.

    Attributes:
        root: a directory for whatever is made.
        python: the Python minor of the environment.
        variables: what the person has set.
    """

    root: Path
    site: Site
    channel: Channel
    index: IndexServer
    python: str
    variables: Mapping[str, str]

    @property
    def target(self) -> str:
        """The only target of the project."""
        return f"elt@{self.python}"

    def offer(self, name: str, version: str, **properties: Any) -> None:
        """Publish a wheel."""
        self.index.add(make_wheel(self.root / "wheels", name, version, **properties))

    def ask_for(self, *pip: str, conda: Sequence[str] = ()) -> None:
        """Write the spec anew."""
        write_spec(self.site.directory, channels=[self.channel.url], conda=conda, pip=pip)

    def type(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run `elt-env` to its end, with nothing on its stdin."""
        return self.site.elt_env(*arguments, variables={**self.variables, **variables})

    @staticmethod
    def command(*arguments: str) -> list[str]:
        """Return the command that `elt-env` with these arguments is."""
        return [sys.executable, "-m", "elt_env", *arguments]

    def environment(self, **variables: str) -> dict[str, str]:
        """Return all variables of a command."""
        return {**self.site.environment, **self.variables, **variables}

    def start(
        self,
        *arguments: str,
        stdin: int | IO[str] = subprocess.DEVNULL,
        stdout: int | IO[str] = subprocess.PIPE,
        stderr: int | IO[str] = subprocess.PIPE,
        **variables: str,
    ) -> subprocess.Popen[str]:
        """Start `elt-env`, and return it."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.site.directory,
            env=self.environment(**variables),
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            text=True,
        )

    def with_home(self, home: Path, *, locks: bool = False) -> Terminal:
        """Return a terminal with another store: an empty one, or one with this one's locks."""
        if locks:
            for part in ("locks", "targets"):
                shutil.copytree(self.site.home / part, home / part)
        return replace(self, site=replace(self.site, home=home))


def make_terminal(
    root: Path, channel: Channel, index: IndexServer, *, cache: Path | None = None
) -> Terminal:
    """Return a terminal below `root`.

    Args:
        channel: holds a real Python.
        index: `tool` and `part` are published there.
        cache: uv's; one of its own by default.
    """
    python = "3.11" if list(channel.root.glob("*/python-3.11.*")) else "3.12"
    project = root / "project"
    project.mkdir(parents=True)
    make_project(
        project,
        channels=[channel.url],
        index=index.url,
        pip=["tool"],
        policy={"cooldown": "0"},
        pythons=[python],
    )
    home = root / "person"
    home.mkdir()
    variables = {
        "HOME": str(home),
        "UV_CACHE_DIR": str(cache or root / "uv"),
        "TMPDIR": str(root),
        "PATH": os.environ["PATH"],
    }
    made = Terminal(root, make_site(root, project), channel, index, python, variables)
    made.offer("part", "1.0")
    made.offer(
        "tool",
        "1.0",
        requires=["part"],
        files={"tool/__init__.py": _TOOL},
        entry_points={"tool": "tool:main"},
    )
    return made


def running_prefix(entry_points: Path) -> str:
    """Return the prefix that the entry points in a directory run."""
    script = "import sys; print(sys.prefix)"
    done = subprocess.run(
        [entry_points / "python", "-c", script],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    return done.stdout.strip()
