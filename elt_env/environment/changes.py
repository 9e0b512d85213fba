"""Detect changes below a directory, as far as the records of its files tell."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

Snapshot: TypeAlias = Mapping[str, tuple[int, ...]]
"""By path, what changes when a file is written: inode, mode, size and time."""


def snapshot(root: Path) -> Snapshot:
    """Return what lies below a directory now; what cannot be looked at is left out."""
    found: dict[str, tuple[int, ...]] = {}
    for directory, _, files in os.walk(root):
        for name in files:
            path = os.path.join(directory, name)  # noqa: PTH118  # of tens of thousands
            try:
                seen = os.lstat(path)
            except OSError:
                continue
            found[path] = (seen.st_ino, seen.st_mode, seen.st_size, seen.st_mtime_ns)
    return found


def changed(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Return the paths that are there in one alone, or that were written, sorted."""
    return tuple(
        sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    )
