"""A machine of a team: what is its own, beside a store that it shares with others."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from elt_env.cli import main
from tests.support.s3_server import SECRET
from tests.support.terminal import Terminal, running_prefix


@dataclass(frozen=True)
class Machine:
    """A machine on which `elt-env` is typed.

    Attributes:
        caches: its own directory.
        project: its checkout.
    """

    terminal: Terminal
    caches: Path
    project: Path
    variables: dict[str, str]

    @property
    def home(self) -> Path:
        """Where its prefixes are."""
        (found,) = (self.caches / "stores").iterdir()
        return found

    @property
    def target(self) -> str:
        return self.terminal.target

    @property
    def environment(self) -> dict[str, str]:
        return {
            **self.terminal.environment(),
            **self.variables,
            "ELT_ENV_PROJECT": str(self.project),
            "ELT_ENV_CACHE_HOME": str(self.caches),
        }

    def typed(self, *arguments: str, **variables: str) -> Result:
        env = {**self.environment, **variables}
        return CliRunner().invoke(main, arguments, env=env, prog_name="elt-env")

    def started(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `elt-env` as a process of its own; what it prints is its one output."""
        return subprocess.Popen(
            self.terminal.command(*arguments),
            cwd=self.project,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def ok(self, *arguments: str, **variables: str) -> str:
        done = self.typed(*arguments, **variables)
        assert done.exit_code == 0, done.output
        assert SECRET not in done.output
        return done.output

    def show(self) -> dict[str, Any]:
        done = self.typed("show", self.target, "--json")
        assert done.exit_code == 0, done.output
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def history(self) -> list[dict[str, Any]]:
        done = self.typed("history", self.target, "--json")
        assert done.exit_code == 0, done.output
        found: list[dict[str, Any]] = json.loads(done.stdout)["releases"]
        return found

    def runs(self) -> str:
        """Return the prefix that this machine's entry point runs."""
        return running_prefix(self.home / "current" / self.target / "bin")
