"""Runs programs: the only place that starts a process.

A program runs in a session of its own, with a time limit and a clean environment. Its output is
passed on line by line with secrets masked, and however the call ends, nothing that the program
started is left behind, even when this process is killed.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from elt_env.errors import TimeLimitError, ToolError
from elt_env.machine.environment_variables import clean_environment
from elt_env.machine.process_group import end_group, has_exited
from elt_env.machine.process_pipes import OutputTeller, Pipes
from elt_env.runtime.cancelling import go_on
from elt_env.runtime.masking import masking

__all__ = [
    "Completed",
    "Say",
    "clean_environment",
    "end_of",
    "keeping",
    "marked",
    "run",
    "run_interactive",
    "unheard",
]


class Say(Protocol):
    """Tells a person a line of progress."""

    def __call__(self, line: str, level: int = logging.INFO, /) -> None:
        """Tell it at a level of `logging`: DEBUG for what nobody reads twice."""


def unheard(line: str, level: int = logging.INFO, /) -> None:
    """Hear a line of progress that nobody waits for."""
    del line, level


def marked(line: str, level: int) -> str:
    """Return a line as it stands where no level does: a warning says that it is one."""
    return f"WARNING: {line}" if level >= logging.WARNING else line


def keeping(lines: list[str], say: Say) -> Say:
    """Return what tells `say`, and keeps in `lines` what was told, as a log has it."""

    def tell(line: str, level: int = logging.INFO, /) -> None:
        lines.append(marked(line, level))
        say(line, level)

    return tell


_Command = Sequence[str | os.PathLike[str]]

_TICK = 0.05  # seconds between two looks at the clock and at the program
_PATIENCE = 10.0  # seconds that a person's command has to end when this process is told to
# Ends a group once its stdin closes, which happens when whoever holds the other end is gone.
_GUARD = ("/bin/sh", "-c", 'read -r line; kill -s KILL -- "-$0"')


@dataclass(frozen=True)
class Completed:
    """A program that ran to its end, whatever its exit code; secrets are masked everywhere.

    Attributes:
        command: what was run.
        returncode: the exit code, or -N if signal N ended it.
        stdout: UTF-8 with replacement; with `merge`, stderr stands in it as well. Of more than
            32 MiB the middle is left out, and says so.
        stderr: the same, or "" with `merge`.
        seconds: how long it took.
    """

    command: tuple[str, ...]
    returncode: int
    stdout: str
    stderr: str
    seconds: float


def run(  # noqa: PLR0913  # one keyword for each property of a run
    command: _Command,
    *,
    limit: float,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    say: Callable[[str], None] | None = None,
    secrets: Collection[str] = (),
    input: str | None = None,  # noqa: A002  # subprocess calls it so
    grace: float = 5.0,
    merge: bool = False,
    diary: str = "",
) -> Completed:
    """Run a program to its end; its exit code is left to the caller to judge.

    Afterwards its process group is gone, on every way out: at the limit, when `say` raises, when
    the call is interrupted, and when the program ended but left a process of its group running.
    Only a process that moved itself to another session stays. If this process is killed, its group
    is killed as well.

    Args:
        command: the program and its arguments; a name without "/" is looked up on env's PATH.
        limit: seconds it may take.
        env: all of its variables; `clean_environment()` by default.
        cwd: the directory it runs in.
        say: called in this thread with each line of stdout and stderr as it appears, with a
            sign of life after 15 seconds without one, and of more than 16 MiB with the last lines.
        secrets: texts shown as ***, as are credentials in URLs.
        input: text for its stdin, which is empty otherwise.
        grace: seconds between SIGTERM and SIGKILL.
        merge: whether stderr goes into stdout, in the order in which both are written.
        diary: how lines begin that nobody is told of, if any do.

    Raises:
        ToolError: the program or `cwd` is missing, or the program cannot be started.
        TimeLimitError: it was still running at the limit.
    """
    mask = masking(secrets)
    shown = tuple(mask(os.fspath(part)) for part in command)
    pipes = Pipes(input)
    teller = OutputTeller(Path(shown[0]).name, say, mask, diary.encode())
    started = time.monotonic()
    start = partial(_start, command, env, cwd, piped=input is not None, merge=merge)
    code, in_time = _attend(start, pipes, teller, started + limit, grace)
    seconds = time.monotonic() - started
    teller.tell(pipes.lines)
    teller.finish()
    if not in_time:
        raise _limit_error(shown[0], limit, teller.recent)
    stdout, stderr = mask(pipes.stdout.text), mask(pipes.stderr.text)
    return Completed(shown, code, stdout, stderr, seconds)


def _attend(
    start: Callable[[], subprocess.Popen[bytes]],
    pipes: Pipes,
    teller: OutputTeller,
    until: float,
    grace: float,
) -> tuple[int, bool]:
    """Start a program and stay until its group is gone; return its exit code, and if in time."""
    with _interrupts_held() as let_go:
        process = start()
        try:
            pipes.connect(process.stdin, process.stdout, process.stderr)
            let_go()
            with _guarded(process.pid):
                in_time = _follow(process.pid, pipes, teller, until)
        finally:
            end_group(process.pid, grace, lambda: process.poll() is not None, pipes.move)
            pipes.close()
    return process.returncode, in_time


@contextlib.contextmanager
def _interrupts_held() -> Iterator[Callable[[], None]]:
    """Keep signals that interrupt this process until the function that is given is called.

    Raised between the start of a program and the block that ends it, they would leave it running.
    Only a main thread is interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda: None
        return
    came: list[int] = []
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    held = {each: handler for each, handler in handlers.items() if callable(handler)}

    def let_go() -> None:
        while held:
            signal.signal(*held.popitem())
        while came:
            signal.raise_signal(came.pop())

    for each in held:
        signal.signal(each, lambda number, _: came.append(number))
    try:
        yield let_go
    finally:
        let_go()


def _start(
    command: _Command, env: Mapping[str, str] | None, cwd: Path | None, *, piped: bool, merge: bool
) -> subprocess.Popen[bytes]:
    with _starting(command, cwd):
        return subprocess.Popen(
            command,
            env=clean_environment() if env is None else env,
            cwd=cwd,
            stdin=subprocess.PIPE if piped else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if merge else subprocess.PIPE,
            start_new_session=True,
        )


def run_interactive(command: _Command, *, env: Mapping[str, str], cwd: Path | None = None) -> int:
    """Run a program on this terminal and return its exit code, 128+N if signal N ended it.

    It shares stdin, stdout, stderr and the process group, so Ctrl-C reaches it; this process
    ignores Ctrl-C meanwhile. There is no time limit: a person sits before it. To be called in
    the main thread.

    Raises:
        ToolError: the program or `cwd` is missing, or the program cannot be started.
    """
    with _deaf_to_interrupts():
        with _starting(command, cwd):
            process = subprocess.Popen(command, env=env, cwd=cwd)
        with process:
            try:
                code = process.wait()
            finally:
                _let_end(process)
    return code if code >= 0 else 128 - code


def _let_end(process: subprocess.Popen[bytes]) -> None:
    """Return when the process has ended: asked to, and after a while made to."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
    process.kill()  # nothing happens to one that has ended


def end_of(text: str, lines: int = 30, head: int = 0) -> str:
    """Return the first `head` and the last `lines` lines of a text, and how many lie between."""
    every = text.splitlines()
    left_out = len(every) - head - lines
    if left_out <= 0:
        return "\n".join(every)
    marker = f"... ({left_out} lines left out) ..."
    return "\n".join([*every[:head], marker, *every[head + left_out :]])


def _follow(leader: int, pipes: Pipes, teller: OutputTeller, deadline: float) -> bool:
    """Serve a program until it ends; return False if that is not before the deadline."""
    while not has_exited(leader):
        go_on()
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        # With its pipes closed it is about to end, and no output wakes this loop then.
        pipes.move(min(left, _TICK if pipes.are_open else _TICK / 10))
        teller.tell(pipes.lines)
    return True


@contextlib.contextmanager
def _guarded(leader: int) -> Iterator[None]:
    """End the group that `leader` leads if this process is killed inside the block.

    PR_SET_PDEATHSIG would need code between fork and exec, which is not safe beside threads.
    """
    command = [*_GUARD, str(leader)]
    with _starting(command, None):
        guard = subprocess.Popen(
            command,
            env={},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    try:
        yield
    finally:
        guard.kill()
        guard.communicate()


@contextlib.contextmanager
def _starting(command: _Command, cwd: Path | None) -> Iterator[None]:
    """Turn the operating system's refusal to start a program into a ToolError."""
    try:
        yield
    except OSError as error:
        raise _start_error(os.fspath(command[0]), cwd, error) from error


def _start_error(program: str, cwd: Path | None, error: OSError) -> ToolError:
    if cwd is not None and not cwd.is_dir():
        return ToolError(
            f"{program} cannot run in {cwd}: there is no such directory.",
            f"Create {cwd}, or run {program} elsewhere.",
        )
    is_missing = isinstance(error, FileNotFoundError)
    if is_missing and "/" in program and Path(cwd or "", program).exists():
        return ToolError(
            f"{program} is there, but the interpreter that its first line names is not.",
            f"Install {program} again where it is.",
        )
    if is_missing:
        return ToolError(
            f"The program {program} is not there.",
            f"Install {program}, then run the same command again.",
        )
    if isinstance(error, PermissionError):
        return ToolError(
            f"The program {program} may not be executed.",
            f"Make it executable: chmod +x {program}",
        )
    return ToolError(
        f"The program {program} cannot be started: {error.strerror}.",
        f"Check that {program} is made for this machine, and that memory and processes are free.",
    )


def _limit_error(program: str, limit: float, recent: str) -> TimeLimitError:
    output = f"Its last output:\n{recent}" if recent else "It had printed nothing."
    return TimeLimitError(
        f"{program} was ended at its time limit of {limit:g} s. {output}",
        "If it was slow rather than stuck, raise tool-limit in [tool.elt-env]; "
        "then run the same command again.",
    )


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    # With a handler that does nothing, since a program inherits SIG_IGN but not a handler.
    previous = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
