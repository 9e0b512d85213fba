"""Run tags that a person, a schedule or a sensor steers a run with.

Tags reach a run whatever launched it; the config of a partitioned job does not (`dagster job
execute` leaves it out).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

import dagster as dg

IDENTITY = {".dagster/repository": "__repository__@elt_env"}
"""What every job's runs carry, so that the web UI shows them at their job, also those that
`dagster job execute` began: the code location is called `elt_env` however it is started."""

ENVIRONMENT = "elt-env/environment"
"""The environment that a job is about; set by the job, and nothing to steer with."""

UPGRADE = "elt-env/upgrade"
"""Packages that may move away from the current lock: `everything`, or names with commas."""

EVERYTHING = "everything"

LOCK = "elt-env/lock"
"""Digest of the candidate, a lock in the store, that the run is to make the current one."""

TRIGGER = "elt-env/trigger"
"""Why the run was asked for, in a line, as in `dagster 1.13.27 → 1.13.28`."""

AGAIN = "elt-env/again"
"""Set to anything: run checks again, even those that held for the lock."""

BY_ITSELF = "elt-env/by-itself"
"""Set to anything: the release moves without a person's word, so never to what was withdrawn."""

TO = "elt-env/to"
"""Digest of the lock that the release goes back to, or its start; else the release before."""

TOLD = "elt-env/told"
"""Set to anything: the end of a run that could not tell of it itself has been told."""

PYTHONS = "elt-env/pythons"
"""Python minors to look at, with commas, as in `3.13,3.14`; without it those worth a look."""


def asked_upgrade(tags: Mapping[str, str]) -> tuple[str, ...] | None:
    """Return the names of the packages to upgrade; None for all, () for none."""
    asked = tags.get(UPGRADE, "")
    if asked == EVERYTHING:
        return None
    return tuple(name.strip() for name in asked.split(",") if name.strip())


class Steering(TypedDict):
    """What a run's tags say about its lock; as `elt_env.lock.make.solve_unless_kept` takes it."""

    upgrade: tuple[str, ...] | None
    candidate: str | None
    trigger: str


def steering(tags: Mapping[str, str]) -> Steering:
    """Return what a run's tags say about its lock."""
    return Steering(
        upgrade=asked_upgrade(tags), candidate=tags.get(LOCK) or None, trigger=tags.get(TRIGGER, "")
    )


class Mover(TypedDict):
    """Why a run moves a release, and what the run is; as `elt_env.release.promote` takes it."""

    trigger: str
    by: str


_LAUNCHERS = {
    "dagster/schedule_name": "schedule",
    "dagster/sensor_name": "sensor",
    "dagster/backfill": "backfill",
}


def mover(run: dg.DagsterRun) -> Mover:
    """Return what the history of releases tells of a run: the reason in its tags, or what began it.

    Assets that are materialized by hand have no job of a name that a person knows.
    """
    launched = (f"{what} {run.tags[tag]}" for tag, what in _LAUNCHERS.items() if tag in run.tags)
    trigger = run.tags.get(TRIGGER) or next(launched, "launched by hand")
    job = "" if run.job_name.startswith("__") else f"job {run.job_name}, "
    return Mover(trigger=trigger, by=f"{job}run {run.run_id.partition('-')[0]}")


def is_unasked(tags: Mapping[str, str]) -> bool:
    """Return whether a run moves releases by itself, and not because a person wants that one."""
    return BY_ITSELF in tags or not _LAUNCHERS.keys().isdisjoint(tags)
