"""The intervals at which sensors tick, and whether they do from the start."""

from __future__ import annotations

import dagster as dg

from elt_env.project.policy import Policy

_HERE = 30  # seconds; to look at what this machine has costs little


def watch_seconds(policy: Policy) -> int:
    """Return after how many seconds the index and the channels are asked again.

    At least 1, since Dagster takes 0 for its default.
    """
    return max(1, int(policy.watch_interval.total_seconds()))


def local_seconds(policy: Policy) -> int:
    """Return after how many seconds a sensor looks again that asks nobody else."""
    return min(watch_seconds(policy), _HERE)


def at_first(policy: Policy) -> dg.DefaultSensorStatus:
    """Return whether a sensor ticks before a person has said so."""
    status = dg.DefaultSensorStatus
    return status.RUNNING if policy.watch else status.STOPPED
