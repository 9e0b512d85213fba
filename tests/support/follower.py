"""A machine that follows what is released elsewhere: an empty directory at first."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from click.testing import CliRunner, Result

from elt_env.cli import main
from tests.support.s3_server import SECRET
from tests.support.terminal import Terminal, running_prefix


@dataclass(frozen=True)
class Follower:
    """A follower of one target.

    Attributes:
        directory: where it is typed, and its store is.
        url: of the store that it follows.
        variables: its login.
    """

    directory: Path
    target: str
    url: str
    variables: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        person = self.directory.with_name(f"{self.directory.name}-person")
        person.mkdir(parents=True, exist_ok=True)
        variables = {each: v for each, v in os.environ.items() if not each.startswith("ELT_ENV_")}
        own = {"HOME": str(person), "ELT_ENV_PROJECT": str(self.directory)}
        return {**variables, **self.variables, **own, "UV_CACHE_DIR": str(person / "uv")}

    @property
    def command(self) -> tuple[str, ...]:
        return "follow", self.target, "--from", self.url

    def typed(self, *arguments: str) -> Result:
        self.directory.mkdir(parents=True, exist_ok=True)
        unset = {each: None for each in os.environ if each.startswith("ELT_ENV_")}
        env = {**unset, **self.environment}
        done = CliRunner().invoke(main, arguments, env=env, prog_name="elt-env")
        assert SECRET not in done.output
        return done

    def follow(self, *arguments: str) -> Result:
        return self.typed(*self.command, *arguments)

    def followed(self, *arguments: str) -> str:
        """Follow, and return what was printed."""
        done = self.follow(*arguments)
        assert done.exit_code == 0, done.output
        return done.output

    def killed_after(self, words: str) -> None:
        """Follow, and be killed once a line with these words is printed."""
        self.directory.mkdir(parents=True, exist_ok=True)
        lines = []
        with subprocess.Popen(
            Terminal.command(*self.command),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            assert process.stdout is not None
            for line in process.stdout:
                lines.append(line)
                if words in line:
                    process.kill()
        assert process.returncode < 0, "".join(lines)

    @property
    def home(self) -> Path:
        return self.directory / ".elt_env"

    def runs(self) -> str:
        """Return the prefix that the entry point runs."""
        return running_prefix(self.home / "current" / self.target / "bin")
