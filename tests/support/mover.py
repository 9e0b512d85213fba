"""Moves releases in processes of their own, which kill themselves before a chosen step.

Run as a program it takes the project's directory. It reads lines of a verb, `promote`, `rollback`,
`bundle` (into `made.tar`), `unbundle` (`given.tar`), `follow` or `follow-image` (the store
`source`), and a number; for each it does that in a child, which is killed before the change of that
number that it makes to the disk, counted from 1; and answers `killed`, or the child's exit code
where there are fewer.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from elt_env.bundle.pack import pack_bundle
from elt_env.bundle.unpack import unpack_bundle
from elt_env.errors import EltEnvError
from elt_env.follow.as_image import AsImage
from elt_env.follow.as_prefix import AsPrefix
from elt_env.follow.follow import follow
from elt_env.follow.machine import Machine
from elt_env.machine.platform import target_here
from elt_env.machine.process import marked
from elt_env.project.settings import open_project
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.store.locks import Store
from elt_env.tools import open_tools
from tests.support.project import ENVIRONMENT, toolbox_of
from tests.support.said import Said

_REPOSITORY = Path(__file__).resolve().parents[2]
# What changes the disk, as Python reports it: https://docs.python.org/3/library/audit_events.html
_CHANGES = frozenset(
    {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.symlink", "os.chmod", "open"}
)
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Mover:
    """Moves the releases of a project's first target."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def killed(self, verb: str, change: int) -> bool:
        """Kill a move before one of its changes; return False when it ended well before that."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(f"{verb} {change}\n")
        stdin.flush()
        said = Said()
        for line in stdout:
            if line.startswith("= "):
                answer = line.removeprefix("= ").strip()
                assert answer in ("killed", "0"), "".join(said)
                return answer == "killed"
            said.append(line)
        raise AssertionError("".join(said))


@contextlib.contextmanager
def mover(project: Path) -> Iterator[Mover]:
    """Yield what moves the releases of a project."""
    with subprocess.Popen(
        [sys.executable, __file__, str(project)],
        env=os.environ | {"PYTHONPATH": str(_REPOSITORY)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield Mover(process)
        finally:
            process.kill()


def _die_before(change: int) -> None:
    left = change

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event in _CHANGES and (event != "open" or _writes(arguments)):
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def _writes(arguments: tuple[object, ...]) -> bool:
    flags = arguments[2]
    return isinstance(flags, int) and bool(flags & _WRITING)


def _move(project: str, verb: str, change: int) -> int:
    toolbox = toolbox_of(open_project(Path(project)))
    target = target_here(ENVIRONMENT, toolbox.environment.pythons[0])
    machine = Machine(target, Store(Path(project, "source")), toolbox, "0" * 16)
    moves: dict[str, Callable[[], object]] = {
        "promote": lambda: promote(target, toolbox, _print, trigger="a reason", by="a test"),
        "rollback": lambda: roll_back(target, toolbox, _print, trigger="a reason", by="a test"),
        "bundle": lambda: pack_bundle(target, toolbox, Path(project, "made.tar"), _print),
        "follow": lambda: follow(machine, _print, AsPrefix("none")),
        "follow-image": lambda: follow(machine, _print, AsImage("none")),
        "unbundle": lambda: unpack_bundle(
            Path(project, "given.tar"), open_project(Path(project)), open_tools, _print
        ),
    }
    _die_before(change)
    try:
        moves[verb]()
    except EltEnvError as error:
        _print(str(error))
        return error.exit_code
    return 0


def _print(line: str, level: int = logging.INFO, /) -> None:
    sys.stdout.write(f"{marked(line, level)}\n")
    sys.stdout.flush()


def _main() -> None:
    for line in sys.stdin:
        verb, change = line.split()
        child = os.fork()
        if child == 0:
            os._exit(_move(sys.argv[1], verb, int(change)))
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        _print(f"= {'killed' if code == -signal.SIGKILL else code}")


if __name__ == "__main__":
    _main()
