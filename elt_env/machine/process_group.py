"""Ends a process group: the process that leads it and everything that it started."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

_TICK = 0.02
_KILLED = 5.0  # seconds for the kernel to end what got SIGKILL; more means stuck in a disk or NFS


def has_exited(leader: int) -> bool:
    """Say whether a child process has ended, without reaping it.

    As long as it is not reaped, its number cannot go to another process or group.
    """
    try:
        found = os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:  # reaped elsewhere, as happens where SIGCHLD is ignored
        return True
    return found is not None


def end_group(
    leader: int, grace: float, reap: Callable[[], bool], pause: Callable[[float], object]
) -> None:
    """End the group that `leader` leads; afterwards no process of it runs.

    Its processes get SIGTERM, and SIGKILL if one is left after `grace` seconds or when this call
    itself is interrupted.

    Args:
        leader: the number of the leader and of its group; it must not be reaped yet.
        grace: seconds between the two signals.
        reap: reaps the leader if it has ended, and says whether it has.
        pause: waits up to that many seconds; it may do something useful meanwhile.
    """
    gone = False
    try:
        _signal(leader, signal.SIGTERM)
        gone = _wait(leader, grace, reap, pause)
    finally:
        if not gone:
            _signal(leader, signal.SIGKILL)
            _wait(leader, _KILLED, reap, pause)


def _signal(group: int, number: signal.Signals) -> None:
    # PermissionError: all that is left runs as another user, as after sudo.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _wait(
    group: int, seconds: float, reap: Callable[[], bool], pause: Callable[[float], object]
) -> bool:
    deadline = time.monotonic() + seconds
    while not (reap() and _is_gone(group)):
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        pause(min(left, _TICK))
    return True


def _is_gone(group: int) -> bool:
    """Say whether no process of the group runs; zombies that wait for their parent do not count.

    In a container whose first process does not reap, such zombies stay.
    """
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        return False
    states = _states(group)
    if not states or states - {"Z", "X"}:
        return False
    _signal(group, signal.SIGKILL)  # for a process that was forked after the look at /proc
    _reap_adopted(group)
    return True


def _reap_adopted(group: int) -> None:
    """Reap the orphans of the group that came to this process, as they do where it is number 1."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-group, os.WNOHANG) != (0, 0):
            pass


def _states(group: int) -> set[str]:
    """Return the states of the group's processes, see proc_pid_stat(5)."""
    found = set()
    for file in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it ended meanwhile
            state, _, its_group, *_ = file.read_text(errors="replace").rpartition(")")[2].split()
            if int(its_group) == group:
                found.add(state)
    return found
