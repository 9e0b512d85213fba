"""Builds a lock in a process of its own, which a test can halt, interrupt and kill.

Run as a program it takes the project's directory, the lock's directory, and a text: it halts once
a line with that text was told; with "" it does not halt. The fourth is what comes after the build:
`pack`, `repair` of what is damaged, or `gc` of all that is not wanted.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from elt_env.environment.build import ensure_prefix
from elt_env.errors import EltEnvError
from elt_env.image.pack import pack
from elt_env.machine.process import marked
from elt_env.project.settings import open_project
from elt_env.release.collect import collect
from elt_env.release.repair import repair
from elt_env.release.verify import verify
from elt_env.store.locks import read_lock_directory
from tests.support.project import toolbox_of

_REPOSITORY = Path(__file__).resolve().parents[2]
_HALTED = "halted"
_LIMIT = 60.0  # seconds for anything that a builder does
_INTERRUPTED = 130


class Builder:
    """A process that builds.

    Attributes:
        lines: what it told so far.
    """

    def __init__(
        self, project: Path, lock: Path, place: Path, halt_after: str = "", goal: str = "build"
    ) -> None:
        self.lines: list[str] = []
        self._place = place
        place.mkdir(parents=True, exist_ok=True)
        # Tools are told by their TMPDIR, which they inherit.
        variables = {"PYTHONPATH": str(_REPOSITORY), "TMPDIR": str(place)}
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(project), str(lock), halt_after, goal],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._limit = threading.Timer(_LIMIT, self._process.kill)
        self._limit.start()

    def wait_for(self, text: str) -> None:
        """Return once a line with `text` was told."""
        for line in self._output():
            if text in line:
                return
        message = f"the builder ended before it told '{text}':\n" + "\n".join(self.lines)
        raise AssertionError(message)

    def wait_until_halted(self) -> None:
        """Return once it halts."""
        self.wait_for(_HALTED)

    def end_with(self, number: signal.Signals) -> None:
        """Send a signal to it, to it alone, and wait for its end."""
        self._process.send_signal(number)
        self.wait()

    def wait(self) -> int:
        """Return its exit code, once it has ended."""
        for _ in self._output():
            pass
        return self._process.wait(_LIMIT)

    @property
    def tools(self) -> list[str]:
        """The commands that it started and that still run, wherever they moved."""
        mine = f"TMPDIR={self._place}".encode()
        found = []
        for process in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = (process / "environ").read_bytes().split(b"\0")
                if mine in variables and int(process.name) != self._process.pid:
                    found.append((process / "cmdline").read_text().replace("\0", " "))
        return found

    def close(self) -> None:
        """End it, if it has not ended."""
        self._limit.cancel()
        self._process.kill()
        self._process.communicate(timeout=_LIMIT)

    def _output(self) -> Iterator[str]:
        if self._process.stdout is None:
            return
        for line in self._process.stdout:
            self.lines.append(line.rstrip("\n"))
            yield line


def _main() -> int:
    project, directory, halt_after, goal = sys.argv[1:]

    def say(line: str, level: int = logging.INFO, /) -> None:
        _print(line, level)
        if halt_after and halt_after in line:
            _print(_HALTED)
            time.sleep(_LIMIT)

    try:
        lock = read_lock_directory(Path(directory), None)
        toolbox = toolbox_of(open_project(Path(project)))
        if goal == "repair":
            repair(lock, verify(lock, toolbox.store, say), toolbox, say)
        built = ensure_prefix(lock, toolbox, say)
        if goal == "pack":
            pack(lock, toolbox.project, toolbox.store, say)
        elif goal == "gc":
            collect(toolbox.project, toolbox.store, say, grace=timedelta(0))
    except EltEnvError as error:
        _print(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    _print(f"steps: {', '.join(built.steps) or 'none'}")
    return 0


def _print(line: str, level: int = logging.INFO, /) -> None:
    sys.stdout.write(f"{marked(line, level)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(_main())
