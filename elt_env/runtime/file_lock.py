"""Lets one process at a time into a block; the others wait."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from elt_env.errors import BusyError
from elt_env.runtime.files import writing

_DIRECTORY = 0o777  # less the umask, as everywhere
_PAUSE = 10.0  # seconds after which it is told again that one waits


@contextlib.contextmanager
def file_lock(  # noqa: PLR0913  # what is locked, how long one waits, and what is said
    lock_file: Path,
    limit: float,
    doing: str,
    remedy: str,
    *,
    mode: int = _DIRECTORY,
    waiting: Callable[[], object] = lambda: None,
) -> Iterator[None]:
    """Run the block while nobody else runs one under the same file.

    Args:
        lock_file: the file; its directory is made with `mode` when needed.
        limit: seconds to wait.
        doing: what the other one does, as in `packing this image`.
        remedy: what to do when that takes too long.
        mode: of the directory.
        waiting: called when one has to wait, and again every ten seconds.

    Raises:
        BusyError: another one is still at it at the limit.
        StorageError: the disk is full or not writable.
    """
    with writing(lock_file):
        lock_file.parent.mkdir(parents=True, exist_ok=True, mode=mode)
        lock = FileLock(lock_file)
        if not _acquire(lock, limit, waiting):
            raise BusyError(f"Another process has been {doing} for over {limit:.0f} s.", remedy)
    try:
        yield
    finally:
        lock.release()


def _acquire(lock: FileLock, limit: float, waiting: Callable[[], object]) -> bool:
    """Acquire a lock within `limit` seconds; return whether that was possible."""
    deadline = time.monotonic() + limit
    pause = 0.0
    while True:
        try:
            lock.acquire(timeout=pause)
        except Timeout:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            waiting()
            pause = min(_PAUSE, left)
        else:
            return True
