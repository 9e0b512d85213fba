"""The last use of something in the store: the time of one small file or directory.

Whoever uses a thing marks it first and then looks whether it is there. Whoever collects it takes it
from its name first and then looks at the mark. So one of the two always sees the other.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

_TAKEN = ".collected-"


def mark_used(path: Path) -> bool:
    """Note that `path` is used now; return whether it is there."""
    try:
        os.utime(path)
    except OSError:
        return False
    return True


def used_since(path: Path, moment: float) -> bool:
    """Return whether it was used at `moment` (seconds since the epoch) or later."""
    try:
        return path.stat().st_mtime >= moment
    except FileNotFoundError:
        return False


@contextlib.contextmanager
def taken(path: Path, moment: float) -> Iterator[Path | None]:
    """Yield where `path` is once it has lost its name; None when it was used since `moment`.

    After the block it has its name again, unless it was removed.
    """
    aside = path.with_name(_TAKEN + path.name)
    try:
        path.replace(aside)
    except FileNotFoundError:
        yield None
        return
    try:
        yield None if used_since(aside, moment) else aside
    finally:
        if aside.exists() and not path.exists():
            aside.replace(path)
