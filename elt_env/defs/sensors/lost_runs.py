"""The sensor that tells of runs whose process ended before it could tell anything."""

from __future__ import annotations

import dagster as dg

from elt_env.defs.intervals import at_first, local_seconds
from elt_env.defs.levels import leveled
from elt_env.defs.resources import EltProject, work_of
from elt_env.defs.run_tags import ENVIRONMENT, TOLD
from elt_env.project.policy import Policy

_PARTITION = "dagster/partition"


def lost_run_sensor(policy: Policy) -> dg.SensorDefinition:
    """Return the sensor; what a run itself has told of, it does not tell again."""

    @dg.run_failure_sensor(
        name="lost_run_sensor",
        minimum_interval_seconds=local_seconds(policy),
        default_status=at_first(policy),
        description="Tells the webhook of runs that ended with their process, or at the limit of "
        "run monitoring.",
    )
    def lost_run(context: dg.RunFailureSensorContext, project: EltProject) -> dg.SkipReason | None:
        run, name = context.dagster_run, context.dagster_run.run_id[:8]
        if context.get_step_failure_events():
            return dg.SkipReason(f"run {name} failed in a step, which has told of it")
        if TOLD in run.tags:
            return dg.SkipReason(f"run {name} has been told of")
        environment, python = subject_of(run)
        if environment not in policy.environments or not python:
            return dg.SkipReason(f"run {name} is of no environment's Python")
        toolbox = project.toolbox(environment)
        detail = f"the run {name} of {run.job_name} was lost: {context.failure_event.message}"
        target = toolbox.target(environment, python)
        work_of(run, target, toolbox, leveled(context.log)).tell("blocked", detail)
        # A tick that ends with its code server is made again, from where the one before it began.
        context.instance.add_run_tags(run.run_id, {TOLD: "lost"})
        return None

    return lost_run


def subject_of(run: dg.DagsterRun) -> tuple[str, str]:
    """Return the environment and the Python that a run is about; "" for each where it is none."""
    partition = run.tags.get(_PARTITION, "")
    environment, at, python = partition.partition("@")
    if at:
        return environment, python
    by_asset = next((key.path[0] for key in sorted(run.asset_selection or ())), "")
    return run.tags.get(ENVIRONMENT, by_asset), partition
