"""Scratch directories of this program below TMPDIR, which also go when their owner was killed.

The owner of one holds a lock on it for as long as it lives (flock(2)), which the system takes back
whatever ends it. The next command of the same user, and `elt-env gc`, remove those whose lock
nobody holds.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from elt_env.runtime.files import writing

_OURS = "elt-env-scratch-"
_UNLOCKED = 60.0  # seconds that an owner has to lock what it has just made


@contextlib.contextmanager
def scratch_directory(purpose: str, above: Path | None = None) -> Iterator[Path]:
    """Yield a new directory, which only this user may enter, and then remove it.

    Args:
        purpose: a word for its name, as in `uv`.
        above: where it is made; TMPDIR by default.

    Raises:
        StorageError: there is no place for it.
    """
    above = above or Path(tempfile.gettempdir())
    _sweep_once(above)
    with (
        writing(above),
        tempfile.TemporaryDirectory(
            prefix=f"{_OURS}{purpose}-", dir=above, ignore_cleanup_errors=True
        ) as name,
        _locked(Path(name)),
    ):
        yield Path(name)


def sweep_scratch(above: Path | None = None) -> None:
    """Remove the scratch directories of this user whose owner is gone, as far as possible."""
    before = time.time() - _UNLOCKED
    for path in (above or Path(tempfile.gettempdir())).glob(f"{_OURS}*"):
        with contextlib.suppress(OSError):
            found = path.lstat()
            mine = stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
            if mine and found.st_mtime < before:
                with _locked(path, only=True):
                    shutil.rmtree(path, ignore_errors=True)


@cache
def _sweep_once(above: Path) -> None:
    sweep_scratch(above)


@contextlib.contextmanager
def _locked(path: Path, *, only: bool = False) -> Iterator[None]:
    """Hold the lock on a directory in the block; `only` where it can be had, else OSError."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:  # somebody sweeps, or a file system without locks: nobody sweeps there
            if only:
                raise
        yield
    finally:
        os.close(handle)
