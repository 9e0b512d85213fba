"""A channel with real Python packages, made once for all tests of a run."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock

from elt_env.conda.host_channel import HostChannel
from elt_env.python.interpreters import Interpreter, list_interpreters
from tests.support.channel import Channel

_PYTHONS = ("3.11", "3.12")
_LIMIT = 300.0  # seconds to wait for the worker that makes the channel
# What no test needs, and what every prefix would have to link, hash and verify.
_LEFT_OUT = shutil.ignore_patterns(
    *("__pycache__", "*.a", "ensurepip", "idlelib", "lib2to3", "pydoc_data", "site-packages"),
    *("test", "tests", "tkinter", "turtledemo", "_test*.so"),
)


def shared_directory(factory: pytest.TempPathFactory) -> Path:
    """Return a directory that all pytest-xdist workers of this run, and no other run, share."""
    own = factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own


def shared_python_channel(place: Path, minors: Sequence[str] = _PYTHONS) -> Channel:
    """Return the channel below `place`, made and indexed by whoever comes first.

    It holds those of these Pythons that this machine has, without headers, the packages that no
    test needs, and debugging symbols. It must not be changed.
    """
    channel = Channel(place / "python-channel")
    ready = place / "python-channel.ready"
    with FileLock(place / "python-channel.lock", timeout=_LIMIT):
        if not ready.exists():
            maker = HostChannel(channel.root)
            for interpreter in _interpreters(minors):
                small = _small(interpreter, place / f"python-{interpreter.minor}")
                maker.add_interpreter(small, print)
                shutil.rmtree(small.prefix)
            channel.index()
            ready.touch()
    return channel


def _interpreters(minors: Sequence[str]) -> list[Interpreter]:
    usable, _ = list_interpreters()
    # The newest patch release stands first, so it is the last to be written.
    newest = {each.minor: each for each in reversed(usable) if each.minor in minors}
    if not newest:
        pytest.skip(f"no Python {' or '.join(minors)} that a conda package can be made of")
    return list(newest.values())


def _small(interpreter: Interpreter, place: Path) -> Interpreter:
    """Return a smaller copy of an interpreter, made at `place`."""
    python = f"python{interpreter.minor}"
    library = Path("lib") / python
    shutil.copytree(interpreter.prefix / library, place / library, symlinks=True, ignore=_LEFT_OUT)
    for each in interpreter.prefix.glob("lib/libpython*.so*"):
        shutil.copy(each, place / "lib", follow_symlinks=False)
    (place / "bin").mkdir()
    executable = Path(shutil.copy(interpreter.executable, place / "bin" / python))
    if shutil.which("strip"):
        native = [each for each in (place / "lib").rglob("*.so*") if not each.is_symlink()]
        subprocess.run(["strip", "--strip-debug", executable, *native], check=True, timeout=_LIMIT)
    # Another build than the whole one, whose package it is not.
    identity = f"{interpreter.identity} small"
    return replace(interpreter, executable=executable, prefix=place, identity=identity)
