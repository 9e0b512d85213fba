"""The sensors of a project: releases, Pythons, and the spec."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from elt_env.defs.automation import at_first, local_seconds, watch_seconds
from elt_env.defs.resources import EltProject
from elt_env.defs.sensors.walk import WATCHING, Tracked, Walk, tracked_by
from elt_env.project.policy import Policy
from elt_env.watch.pythons import look_at_minors, look_at_python
from elt_env.watch.releases import look_at_releases
from elt_env.watch.spec import look_at_spec

__all__ = ["sensors"]

Looking = Callable[[Walk, Tracked], None]


def sensors(policy: Policy, jobs: Sequence[Any]) -> list[dg.SensorDefinition]:
    """Return the sensors; each looks at every target of the policy.

    Args:
        policy: which targets there are, how often to look, and whether from the start.
        jobs: what they may ask to run: `<environment>_build` and `python_readiness`.
    """
    seconds = watch_seconds(policy)
    looks = (
        (_look_at_releases, seconds),
        (_look_at_pythons, seconds),
        (_look_at_specs, local_seconds(policy)),
    )
    return [
        _sensor(name, look, every, policy, jobs)
        for name, (look, every) in zip(WATCHING, looks, strict=True)
    ]


def _look_at_releases(walk: Walk, tracked: Tracked) -> None:
    """Look on the indexes for releases and yanks of what is locked.

    A run is asked for where another lock would come of it.
    """
    walk.look_at(tracked, look_at_releases)


def _look_at_pythons(walk: Walk, tracked: Tracked) -> None:
    """Look on the channels for Pythons.

    A new patch release leads to a new lock, a new minor to a look at its readiness.
    """
    walk.look_at(tracked, look_at_python)
    for environment, minors in tracked.items():
        walk.look_beyond(environment, minors, look_at_minors)


def _look_at_specs(walk: Walk, tracked: Tracked) -> None:
    """Look whether the locks satisfy the specs and the policy; ask for a run where one does not."""
    walk.look_at(tracked, look_at_spec)
    walk.tell_untracked(tracked)


def _sensor(
    name: str, look: Looking, seconds: int, policy: Policy, jobs: Sequence[Any]
) -> dg.SensorDefinition:
    tracked = tracked_by(policy)

    @dg.sensor(
        name=name,
        jobs=jobs,
        minimum_interval_seconds=seconds,
        default_status=at_first(policy),
        description=inspect.getdoc(look),
    )
    def sensor(context: dg.SensorEvaluationContext, project: EltProject) -> dg.SensorResult:
        walk = Walk(name, context, project, policy)
        look(walk, tracked)
        return walk.result()

    return sensor
