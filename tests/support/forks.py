"""Runs `elt-env` in forks of one process that has loaded it, and kills them at a given moment.

Run as a program it reads a JSON line for each command: its `arguments`, the seconds `after` which
it is killed with SIGKILL, or null, and the file `output` for all that it says; it answers with its
exit code, -9 where it was killed, and the seconds it took. Nobody but the command is killed: what
it started has to end by itself, as after any kill -9.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import pkgutil
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import elt_env.cli

_REPOSITORY = Path(__file__).resolve().parents[2]
_TICK = 0.002  # seconds


@dataclass(frozen=True)
class Ended:
    """A command that ended, or was killed."""

    code: int
    seconds: float
    output: str

    @property
    def killed(self) -> bool:
        """Whether the kill came before the end."""
        return self.code == -signal.SIGKILL


class Forks:
    """Runs one command at a time."""

    def __init__(self, process: subprocess.Popen[str], output: Path) -> None:
        self._process = process
        self._output = output

    def run(self, arguments: Sequence[str], after: float | None = None) -> Ended:
        """Run `elt-env` with these arguments, and kill it after some seconds if it still runs."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        asked = {"arguments": [*arguments], "after": after, "output": str(self._output)}
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        code, seconds = json.loads(stdout.readline())
        return Ended(code, seconds, self._output.read_text(encoding="utf-8", errors="replace"))


@contextlib.contextmanager
def forks(project: Path, output: Path, **variables: str) -> Iterator[Forks]:
    """Yield what runs commands in a project; what they say goes to the file `output`."""
    with subprocess.Popen(
        [sys.executable, __file__],
        cwd=project,
        env={**os.environ, "PYTHONPATH": str(_REPOSITORY), **variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield Forks(process, output)
        finally:
            process.kill()


def _run(arguments: Sequence[str], output: str) -> None:
    handle = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    null = os.open(os.devnull, os.O_RDONLY)
    for source, target in ((null, 0), (handle, 1), (handle, 2)):
        os.dup2(source, target)
    code = 1
    try:
        elt_env.cli.main(list(arguments), prog_name="elt-env")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0
    except BaseException:  # noqa: BLE001  # a traceback that nobody sees otherwise
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _wait(child: int, after: float | None) -> int:
    started = time.monotonic()
    while True:
        found, status = os.waitpid(child, 0 if after is None else os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if after is not None and time.monotonic() - started >= after:
            os.kill(child, signal.SIGKILL)
            after = None
        time.sleep(_TICK)


def _serve() -> None:
    for each in pkgutil.iter_modules(elt_env.cli.__path__, "elt_env.cli."):
        importlib.import_module(each.name)  # for all forks
    for line in sys.stdin:
        asked = json.loads(line)
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _run(asked["arguments"], asked["output"])
        code = _wait(child, asked["after"])
        sys.stdout.write(json.dumps([code, round(time.monotonic() - started, 3)]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    _serve()
