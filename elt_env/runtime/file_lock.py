"""Lets one process at a time into a block; the others wait."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from elt_env.errors import BusyError
from elt_env.runtime.files import writing

_DIRECTORY = 0o777  # less the umask, as everywhere


@contextlib.contextmanager
def file_lock(
    lock_file: Path, limit: float, doing: str, remedy: str, *, mode: int = _DIRECTORY
) -> Iterator[None]:
    """Run the block while nobody else runs one under the same file.

    Args:
        lock_file: the file; its directory is made with `mode` when needed.
        limit: seconds to wait.
        doing: what the other one does, as in `packing this image`.
        remedy: what to do when that takes too long.
        mode: of the directory.

    Raises:
        BusyError: another one is still at it at the limit.
        StorageError: the disk is full or not writable.
    """
    with writing(lock_file):
        lock_file.parent.mkdir(parents=True, exist_ok=True, mode=mode)
        lock = FileLock(lock_file)
        try:
            lock.acquire(timeout=limit)
        except Timeout:
            raise BusyError(
                f"Another process has been {doing} for over {limit:.0f} s.", remedy
            ) from None
    try:
        yield
    finally:
        lock.release()
