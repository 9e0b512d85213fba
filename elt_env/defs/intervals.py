"""The intervals at which sensors tick."""

from __future__ import annotations

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
