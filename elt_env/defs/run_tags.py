"""Run tags that a person, a schedule or a sensor steers a run with.

Tags reach a run whatever launched it; the config of a partitioned job does not (`dagster job
execute` leaves it out).
"""

from __future__ import annotations

from collections.abc import Mapping

UPGRADE = "elt-env/upgrade"
"""Packages that may move away from the current lock: `everything`, or names with commas."""

EVERYTHING = "everything"

LOCK = "elt-env/lock"
"""Digest of the candidate, a lock in the store, that the run is to make the current one."""

TRIGGER = "elt-env/trigger"
"""Why the run was asked for, in a line, as in `dagster 1.13.27 → 1.13.28`."""

AGAIN = "elt-env/again"
"""Set to anything: run checks again, even those that held for the lock."""


def asked_upgrade(tags: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the names of the packages to upgrade; None for all, () for none."""
    asked = tags.get(UPGRADE, "")
    if asked == EVERYTHING:
        return None
    return tuple(name.strip() for name in asked.split(",") if name.strip())
