"""Runs the project's own commands as a user would, in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
_SECONDS = 1200


@dataclass(frozen=True)
class Site:
    """A project directory with a store and a Dagster instance of its own.

    Attributes:
        directory: where the project's pyproject.toml is; commands run here.
        home: the store.
        dagster_home: the Dagster instance's directory.
    """

    directory: Path
    home: Path
    dagster_home: Path

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the commands."""
        return os.environ | {
            "ELT_ENV_HOME": str(self.home),
            "DAGSTER_HOME": str(self.dagster_home),
            "PYTHONPATH": str(REPOSITORY),
            "PYTHONWARNINGS": "ignore",
        }

    def elt_env(
        self, *arguments: str, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run `elt-env` with these arguments."""
        start = "from elt_env.cli import main; main(prog_name='elt-env')"
        return self._run([sys.executable, "-c", start, *arguments], variables)

    def show(self, target: str) -> dict[str, Any]:
        """Return what `elt-env show TARGET --json` prints."""
        done = self.elt_env("show", target, "--json")
        assert done.returncode == 0, done.stderr
        content: dict[str, Any] = json.loads(done.stdout)
        return content

    def execute(
        self, job: str, python: str, variables: Mapping[str, str] | None = None, **tags: str
    ) -> subprocess.CompletedProcess[str]:
        """Run `dagster job execute` for one partition."""
        return self._run(self.execute_command(job, python, **tags), variables)

    def run_dagster(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `dagster` with these arguments."""
        return self._run([sys.executable, "-m", "dagster", *arguments], None)

    @staticmethod
    def execute_command(job: str, python: str, **tags: str) -> list[str]:
        """Return the command of `execute`."""
        every = {"dagster/partition": python} | {
            f"elt-env/{name}": value for name, value in tags.items()
        }
        return [
            *(sys.executable, "-m", "dagster", "job", "execute"),
            *("-m", "elt_env.definitions", "-j", job, "--tags", json.dumps(every)),
        ]

    def _run(
        self, command: list[str], variables: Mapping[str, str] | None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.directory,
            env=self.environment | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )


def make_site(root: Path, directory: Path) -> Site:
    """Return a site for the project in `directory`, its store and instance below `root`."""
    dagster_home = root / "dagster"
    dagster_home.mkdir(parents=True)
    (dagster_home / "dagster.yaml").write_text(
        "telemetry:\n  enabled: false\nnux:\n  enabled: false\n", encoding="utf-8"
    )
    return Site(directory, root / "home", dagster_home)
