"""The sensors and schedules of a project."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import dagster as dg

from elt_env.defs.automation import automation_sensor
from elt_env.defs.names import group_name
from elt_env.defs.readiness import JOB as READINESS
from elt_env.defs.schedules import relock_schedules
from elt_env.defs.sensors import sensors
from elt_env.defs.sensors.instance import instance_sensor
from elt_env.defs.sensors.lost_runs import lost_run_sensor
from elt_env.project.policy import Policy


def watch_definitions(policy: Policy, jobs: Iterable[Any]) -> dg.Definitions:
    """Return the sensors of the project and the schedules of its environments.

    Args:
        policy: the policy of the whole project.
        jobs: those of all environments.

    Raises:
        PolicyError: a time of the policy cannot be read.
    """
    every = list(jobs)
    asked = {READINESS, *(f"{group_name(name)}_build" for name in policy.environments)}
    wanted = [each for each in every if each.name in asked]
    return dg.Definitions(
        sensors=[
            *sensors(policy, wanted),
            automation_sensor(policy),
            lost_run_sensor(policy),
            instance_sensor(policy),
        ],
        schedules=[
            schedule
            for name in policy.environments
            for schedule in relock_schedules(name, policy, every)
        ],
    )
