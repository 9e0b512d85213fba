"""The sensors that look after the Dagster instance: lost runs, and a clock that was set back.

Run monitoring asks the code server whether a run's process is there; where that was killed too,
nobody would know. Of a run whose process ended before it could tell anything another one tells.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import InstigatorState, SensorInstigatorData

from elt_env.defs.automation import at_first, local_seconds
from elt_env.defs.levels import leveled
from elt_env.defs.resources import EltProject, work_of
from elt_env.defs.run_tags import ENVIRONMENT, TOLD
from elt_env.defs.sensors.ticks import states
from elt_env.errors import EltEnvError
from elt_env.machine.platform import target_here
from elt_env.project.policy import Policy
from elt_env.release.notify import notify
from elt_env.report.summary import SET_CLOCK

NAME = "instance_sensor"
_PASSED = -(10**9)  # seconds; Dagster takes 0 for its default of 30
_TOLERANCE = 60.0  # seconds that clocks differ by and nobody cares
_PARTITION = "dagster/partition"


def instance_sensor(policy: Policy) -> dg.SensorDefinition:
    """Return the sensor.

    Dagster waits until the interval has passed since a sensor's last tick, and where the clock was
    set back that moment is in the future: this one's interval has passed whatever the clock says.
    """

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=_PASSED,
        default_status=at_first(policy),
        description="Ends runs whose process is gone, though they had no time to say so; lets "
        "sensors tick again where the clock was set back, and says that it was.",
    )
    def sensor(context: dg.SensorEvaluationContext, project: EltProject) -> dg.SkipReason:
        lost = list(end_lost_runs(context.instance))
        for each in lost:
            context.log.warning(each)
        told = wake_sensors(context.instance)
        if told:
            _tell(told, policy, context, project)
            raise dg.Failure(told, allow_retries=False)
        return dg.SkipReason("\n".join(lost) or "every run has its process, and the clock goes on")

    return sensor


def end_lost_runs(instance: dg.DagsterInstance) -> Iterator[str]:
    """End the runs of this machine whose process is gone; yield what was ended and why."""
    begun = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
    for record in instance.get_run_records(dg.RunsFilter(statuses=begun)):
        run = record.dagster_run
        process = lost_process(run, instance)
        now = instance.get_run_by_id(run.run_id) if process else None
        if now is None or now.is_finished:
            continue
        why = f"its process {process} is gone, and ended without a word"
        if now.status is dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(now, f"Cancelled: {why}.")
        else:
            instance.report_run_failed(now, f"Lost: {why}.")
        yield f"run {run.run_id[:8]} ({run.job_name}): {why}"


def lost_process(run: dg.DagsterRun, instance: dg.DagsterInstance) -> int | None:
    """Return the id of the process that a run began in, when it is not there any more.

    None also where that cannot be known: what an instance in files has begun runs on its machine.
    """
    from dagster._core.storage.runs.sqlite import SqliteRunStorage  # slow to load

    if not isinstance(instance.run_storage, SqliteRunStorage):
        return None
    start = {dg.DagsterEventType.RUN_START}
    for each in instance.get_records_for_run(run.run_id, of_type=start).records:
        event = each.event_log_entry.dagster_event
        if event is not None and event.pid and not _is_alive(event.pid):
            return event.pid
    return None


def _is_alive(process: int) -> bool:
    """Tell whether a process is there, and may be one of Dagster's; one that is dead may not."""
    try:
        os.kill(process, 0)
        command = Path(f"/proc/{process}/cmdline").read_bytes()
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return any(each in command for each in (b"python", b"dagster", b"pytest"))


def wake_sensors(instance: dg.DagsterInstance) -> str:
    """Let sensors tick whose last tick is in the future; return what is wrong, or ""."""
    now = time.time()
    asleep = {each.name: each for each in states(instance) if _last(each) > now + _TOLERANCE}
    if not asleep:
        return ""
    latest = max(map(_last, asleep.values()))
    for each in asleep.values():
        data = each.instigator_data
        if isinstance(data, SensorInstigatorData):
            awake = data._replace(last_tick_timestamp=now, last_tick_start_timestamp=now)
            instance.update_instigator_state(each.with_data(awake))
    moment = f"{datetime.fromtimestamp(latest, tz=timezone.utc):%Y-%m-%d %H:%M} UTC"
    return (
        f"The clock was set back by {_span(latest - now)}: Dagster has ticks of {moment}, and "
        f"would have waited so long with {', '.join(sorted(asleep))}. They tick again now; "
        "schedules go on when that moment has come. -> If the clock is wrong now, set it: "
        f"{SET_CLOCK}"
    )


def _last(state: InstigatorState) -> float:
    data = state.instigator_data
    if not isinstance(data, SensorInstigatorData):
        return 0.0
    return max(data.last_tick_timestamp or 0.0, data.last_tick_start_timestamp or 0.0)


def _span(seconds: float) -> str:
    minutes = int(seconds // 60)
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"  # noqa: PLR2004  # an hour


def _tell(
    told: str, policy: Policy, context: dg.SensorEvaluationContext, project: EltProject
) -> None:
    """Tell the webhook; of what is wrong with all targets, the first one stands for the others."""
    environment, first = next(iter(policy.environments.items()))
    try:
        tools = project.tools(environment)
        target = target_here(environment, first.pythons[0])
    except EltEnvError as error:
        context.log.warning(error.problem)
        return
    notify(target, tools.policy, tools.store, leveled(context.log), "blocked", told)


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
        tools = project.tools(environment)
        detail = f"the run {name} of {run.job_name} was lost: {context.failure_event.message}"
        target = target_here(environment, python)
        work_of(run, target, tools, leveled(context.log)).tell("blocked", detail)
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
