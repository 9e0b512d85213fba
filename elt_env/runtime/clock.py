"""The clock, which tests set."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the current moment."""
    return datetime.now(timezone.utc)
