"""Automation: what is made of a lock follows the lock."""

from __future__ import annotations

import dagster as dg

from elt_env.defs.intervals import local_seconds
from elt_env.defs.names import group_name
from elt_env.project.policy import Policy


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


def automation_sensor(policy: Policy) -> dg.AutomationConditionSensorDefinition:
    """Return the sensor that evaluates these conditions."""
    running = dg.DefaultSensorStatus.RUNNING
    return dg.AutomationConditionSensorDefinition(
        "automation_sensor",
        minimum_interval_seconds=local_seconds(policy),
        target=dg.AssetSelection.groups(*map(group_name, policy.environments)),
        default_status=running if policy.watch else dg.DefaultSensorStatus.STOPPED,
        description="Makes what follows of a lock, a prefix or an image that has changed.",
    )
