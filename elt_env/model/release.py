"""A release: a lock that was promoted, or gone back to."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Action = Literal["promoted", "rolled back"]


@dataclass(frozen=True)
class Release:
    """One move of a target's release pointer.

    Attributes:
        number: 1 for the target's first release, and one more for each after it.
        target: as in `elt@3.11`.
        digest: the lock's.
        image: digest of the lock's image; None when there was none.
        at: when it became the release, UTC.
        action: whether it was proven and promoted, or is one from before.
        trigger: why, in a line, as in `dagster 1.13.27 → 1.13.28`.
        by: what moved it, as in `job elt_build, run 3f2a…` or `elt-env promote`.
    """

    number: int
    target: str
    digest: str
    image: str | None
    at: datetime
    action: Action
    trigger: str
    by: str
