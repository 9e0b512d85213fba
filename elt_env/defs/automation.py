"""Automation: what is made of a lock follows it, and sensors tick."""

from __future__ import annotations

from datetime import timedelta
from itertools import islice, pairwise

import dagster as dg
from dagster._utils.schedules import (  # as Dagster itself reads the time of a schedule
    cron_string_iterator,
    is_valid_cron_string,
)

from elt_env.defs.names import group_name
from elt_env.project.policy import Policy

_TICKS = 60  # in which the longest time between two comes up
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


def follows_upstream() -> dg.AutomationCondition[dg.AssetKey | dg.AssetCheckKey]:
    """Return the condition that something upstream has another data version than before.

    A run that makes both is left to do so, and what a failed blocking check says does not work is
    not built upon. Where the content stayed the same, nothing is made again.
    """
    condition = dg.AutomationCondition
    changed = condition.any_deps_match(condition.data_version_changed())
    handled = condition.newly_requested() | condition.newly_updated()
    return (
        changed.since(handled)
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
        & condition.all_deps_blocking_checks_passed()
    ).with_label("another data version upstream")


def made_by_schedule(policy: Policy) -> dg.FreshnessPolicy | None:
    """Return that an asset is made whenever the schedule relocks; a run has a day for it.

    None where nothing relocks by itself, or the schedule's time cannot be read.
    """
    time = policy.relock_schedule
    if not (policy.watch and time and is_valid_cron_string(time)):
        return None
    ticks = islice(cron_string_iterator(0.0, time, "UTC"), _TICKS)
    longest = max(after - before for before, after in pairwise(ticks))
    return dg.FreshnessPolicy.time_window(fail_window=longest + timedelta(days=1))


def automation_sensor(policy: Policy) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates these conditions."""
    return dg.AutomationConditionSensorDefinition(
        "automation_sensor",
        minimum_interval_seconds=local_seconds(policy),
        target=dg.AssetSelection.groups(*map(group_name, policy.environments)),
        default_status=at_first(policy),
        description="Makes what follows of a lock, a prefix or an image that has changed.",
    )
