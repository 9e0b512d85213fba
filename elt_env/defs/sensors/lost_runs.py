"""The sensor that tells of runs whose process ended before it could tell anything."""

from __future__ import annotations

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.names import group_name
from elt_env.defs.notices import tell
from elt_env.defs.resources import EltProject
from elt_env.model.policy import Policy

_PARTITION = "dagster/partition"


def lost_run_sensor(policy: Policy) -> dg.SensorDefinition:
    """Return the sensor; what a run itself has told of, it does not tell again."""
    status = dg.DefaultSensorStatus

    @dg.run_failure_sensor(
        name="lost_run_sensor",
        default_status=status.RUNNING if policy.watch else status.STOPPED,
        description="Tells the webhook of runs that ended with their process, or at the limit of "
        "run monitoring.",
    )
    def lost_run(context: dg.RunFailureSensorContext, project: EltProject) -> dg.SkipReason | None:
        run, name = context.dagster_run, context.dagster_run.run_id[:8]
        if context.get_step_failure_events():
            return dg.SkipReason(f"run {name} failed in a step, which has told of it")
        environment = environment_of(run, policy)
        python = run.tags.get(_PARTITION)
        if environment is None or python is None:
            return dg.SkipReason(f"run {name} is of no environment's Python")
        toolbox = project.toolbox(environment)
        detail = f"the run {name} of {run.job_name} was lost: {context.failure_event.message}"
        target = toolbox.target(environment, python)
        tell("blocked", detail, target, toolbox, run, leveled(context.log))
        return None

    return lost_run


def environment_of(run: dg.DagsterRun, policy: Policy) -> str | None:
    """Return the environment that a run is about: that of its assets, else that of its job."""
    for key in sorted(run.asset_selection or ()):
        if key.path[0] in policy.environments:
            return key.path[0]
    by_job = [each for each in policy.environments if run.job_name.startswith(group_name(each))]
    return max(by_job, key=len, default=None)
