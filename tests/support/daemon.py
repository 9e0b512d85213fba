"""A Dagster daemon in a process group of its own, and what it has done."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorTick
from dagster_shared.error import SerializableErrorInfo

from tests.support.commands import Site

_SECONDS = 300.0
_Found = TypeVar("_Found")


@contextlib.contextmanager
def daemon(
    site: Site, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    """Run the daemon of a site until the block ends; all that it started is gone then."""
    with _running(site, ["dagster._daemon", "run"], "daemon.log", variables) as process:
        yield process


@contextlib.contextmanager
def web_server(site: Site, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run the web server of a site alone until the block ends."""
    where = ["dagster_webserver", "-h", "127.0.0.1", "-p", str(port)]
    with _running(site, where, "webserver.log") as process:
        yield process


@contextlib.contextmanager
def _running(
    site: Site, module: Sequence[str], log: str, variables: Mapping[str, str] | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with (site.dagster_home / log).open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *module, "-m", "elt_env.definitions"],
            cwd=site.directory,
            env=site.environment | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def code_servers(daemon_id: int) -> list[int]:
    """Return the processes that serve a daemon's definitions."""
    children = Path(f"/proc/{daemon_id}/task/{daemon_id}/children").read_text().split()
    return [int(each) for each in children if b"grpc" in Path(f"/proc/{each}/cmdline").read_bytes()]


def wait_for(what: Callable[[], _Found | None], meaning: str, seconds: float = _SECONDS) -> _Found:
    """Return what is found as soon as something is."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.3)
    raise AssertionError(f"{meaning} did not come within {seconds:.0f} s")


def skip_reasons(instance: dg.DagsterInstance, sensor: str, since: float) -> list[str]:
    """Return why the ticks of a sensor since a moment asked for no run, the last one first."""
    return [each.skip_reason for each in _ticks(instance, sensor, since) if each.skip_reason]


def failures(instance: dg.DagsterInstance, sensor: str, since: float) -> list[str]:
    """Return why ticks of a sensor since a moment failed, the last one first."""
    return [_reason(each.error) for each in _ticks(instance, sensor, since) if each.error]


def _reason(error: SerializableErrorInfo) -> str:
    return _reason(error.cause) if error.cause else error.message


def _ticks(instance: dg.DagsterInstance, sensor: str, since: float) -> list[InstigatorTick]:
    states = [each for each in instance.all_instigator_state() if each.name == sensor]
    return [
        tick
        for state in states
        for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, after=since)
    ]
