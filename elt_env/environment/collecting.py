"""Removes directories of the store that nobody wants, beside those who work in it."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from elt_env.environment.file_list import list_path
from elt_env.environment.prefix import MARKER
from elt_env.errors import BusyError
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import remove, remove_tree, writing
from elt_env.store.last_use import taken, used_since

Links = Counter[tuple[int, int]]
"""By device and inode how many links to a file a dry run has passed, and would have removed."""


def freed(path: Path, passed: Links | None = None) -> int:
    """Return the bytes that the removal of a file or directory frees; what is linked stays."""
    if not path.is_dir() or path.is_symlink():
        return _size(os.lstat(path), passed)
    total = 0
    for directory, _, files in os.walk(path):
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                place = os.path.join(directory, name)  # noqa: PTH118  # many
                total += _size(os.lstat(place), passed)
    return total


def _size(found: os.stat_result, passed: Links | None) -> int:
    links = 1
    if passed is not None:
        passed[found.st_dev, found.st_ino] += 1
        links = passed[found.st_dev, found.st_ino]
    return found.st_blocks * 512 if found.st_nlink == links else 0


def remove_prefix(
    path: Path, moment: float, *, dry_run: bool, passed: Links | None = None
) -> int | None:
    """Remove a prefix that nobody builds or used since `moment`; return the bytes that this frees.

    None: it stays. A prefix without a marker goes by the time of its directory.

    Raises:
        StorageError: it cannot be removed.
    """
    with _alone(path) as alone:
        if not alone or not path.is_dir():
            return None
        marker = path / MARKER
        if used_since(marker if marker.exists() else path, moment):
            return None
        size = freed(path, passed)
        if dry_run:
            return size
        if marker.exists():
            with taken(marker, moment) as mine:
                if mine is None:
                    return None
                remove_tree(path)
        else:
            remove_tree(path)
        with writing(path):
            list_path(path).unlink(missing_ok=True)
        return size


def remove_root(path: Path, moment: float, *, dry_run: bool) -> int | None:
    """Remove an unpacked image that nobody used since `moment`; return the bytes that this frees.

    None: it stays.

    Raises:
        StorageError: it cannot be removed.
    """
    with _alone(path) as alone:
        return remove_file(path, moment, dry_run=dry_run) if alone else None


def remove_file(
    path: Path, moment: float, *, dry_run: bool, passed: Links | None = None
) -> int | None:
    """Remove a file or directory that nobody used since `moment`; return the bytes that it frees.

    None: it stays, or is not there.

    Raises:
        StorageError: it cannot be removed.
    """
    if not path.exists() or used_since(path, moment):
        return None
    size = freed(path, passed)
    if dry_run:
        return size
    with writing(path), taken(path, moment) as mine:
        if mine is None:
            return None
        remove(mine)
    return size


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Yield whether nobody else holds the lock beside `path`, and hold it meanwhile."""
    with contextlib.ExitStack() as held:
        try:
            lock_file = path.with_name(f".{path.name}.lock")
            held.enter_context(file_lock(lock_file, 0, "at work", "Run the same command again."))
        except BusyError:
            yield False
            return
        yield True
