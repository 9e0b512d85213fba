"""The border of a cool-down, which is the same for both halves."""

from __future__ import annotations

from datetime import datetime, timedelta


def is_too_young(released: datetime, limit: datetime) -> bool:
    """Tell whether a cool-down with this cut-off holds back what was released at a moment.

    It holds back the very moment of the cut-off too, as uv's `--exclude-newer` and pip's
    `--uploaded-prior-to` do.
    """
    return released >= limit


def last_before(limit: datetime) -> datetime:
    """Return the last moment that a cut-off leaves, for a tool that takes what it is given.

    Repodata counts milliseconds.
    """
    return limit - timedelta(milliseconds=1)
