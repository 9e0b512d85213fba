"""Directories that are full, or that nobody can write to, not even root."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

_LIMIT = 20.0  # seconds for a mount


@contextlib.contextmanager
def small_disk(directory: Path, size: str) -> Iterator[Path]:
    """Let `directory` be a file system of `size`, as in `256k` or `20m`, until the block ends."""
    directory.mkdir(parents=True)
    with _tmpfs(directory, f"size={size}"):
        yield directory


@contextlib.contextmanager
def unwritable_directory(directory: Path) -> Iterator[Path]:
    """Let `directory` be an empty one that refuses every write until the block ends."""
    directory.mkdir(parents=True)
    if os.geteuid() == 0:
        # Permissions do not hold root back, a read-only file system does.
        with _tmpfs(directory, "ro"):
            yield directory
        return
    directory.chmod(0o555)
    try:
        yield directory
    finally:
        directory.chmod(0o755)


@contextlib.contextmanager
def _tmpfs(directory: Path, options: str) -> Iterator[None]:
    if os.geteuid() != 0:
        pytest.skip("mounting a file system needs root")
    done = _run("mount", "-t", "tmpfs", "-o", options, "elt-env-test", str(directory))
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")
    try:
        yield
    finally:
        # Lazy: a process that still holds a file does not keep the mount in place.
        _run("umount", "--lazy", str(directory))


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=_LIMIT)
