"""Keeps a test away from the machine's settings, and a unit test from the whole world."""

from __future__ import annotations

import atexit
import itertools
import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import NoReturn

import pytest

MACHINE_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
"""Where this machine keeps what the tests' own helpers have downloaded."""

_PLACE = Path(tempfile.gettempdir()) / f"elt-env-tests-{os.getpid()}"
_numbers = itertools.count()
atexit.register(shutil.rmtree, _PLACE, ignore_errors=True)

_PREFIXES = ("ELT_ENV_", "PIP_", "UV_", "CONDA", "DAGSTER_HOME")
# Where the machine finds its registry, and how it trusts it.
_REGISTRY_PREFIXES = ("PIP_", "UV_")
_FORBIDDEN = (
    (socket.socket, "connect"),
    (socket.socket, "connect_ex"),
    (socket.socket, "bind"),
    (socket, "getaddrinfo"),
    (subprocess.Popen, "__init__"),
    (os, "system"),
    (os, "fork"),
    (os, "posix_spawn"),
)


def clear_settings(monkeypatch: pytest.MonkeyPatch, *, keep_registry: bool) -> None:
    """Unset the variables that would change what this project or its tools do.

    Args:
        keep_registry: leave what pip and uv need to reach the machine's package registry.
    """
    for name in list(os.environ):
        kept = keep_registry and name.startswith(_REGISTRY_PREFIXES)
        if name.startswith(_PREFIXES) and not kept:
            monkeypatch.delenv(name)
    monkeypatch.setenv("CONDARC", os.devnull)
    use_own_caches(monkeypatch)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


def use_own_caches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be written into the caches of who runs the tests.

    Each store has its own caches, as what one test has made, or its server has said, must not
    answer for another one.
    """
    place = _PLACE / str(next(_numbers))
    monkeypatch.setenv("XDG_CACHE_HOME", str(place / "cache"))
    monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
    monkeypatch.setenv("ELT_ENV_CACHE_HOME", "store")


def forbid_processes_and_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every attempt to start a process or to use the network fail the test."""
    for owner, name in _FORBIDDEN:
        monkeypatch.setattr(owner, name, _refuse)


def _refuse(*args: object, **options: object) -> NoReturn:
    # pytest.fail raises a BaseException, which no `except Exception` of a library swallows.
    del args, options
    pytest.fail("a unit test must not start a process or use a socket")
