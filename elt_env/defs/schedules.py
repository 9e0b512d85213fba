"""The schedule of an environment."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg

from elt_env.defs.names import group_name
from elt_env.defs.resources import EltProject
from elt_env.defs.run_tags import TRIGGER
from elt_env.defs.sensors.runs import Runs, claims
from elt_env.errors import EltEnvError, PolicyError
from elt_env.machine.platform import target_here
from elt_env.project.policy import Policy

Tick = Iterator[dg.RunRequest | dg.SkipReason]


def relock_schedules(
    environment: str, policy: Policy, jobs: Sequence[Any]
) -> list[dg.ScheduleDefinition]:
    """Return `<environment>_relock_schedule`, or nothing where the policy has no time for it.

    `jobs` are those of the environment, with `<environment>_relock`.

    Raises:
        PolicyError: the time cannot be read.
    """
    if not policy.relock_schedule:
        return []
    job = f"{group_name(environment)}_relock"
    name = f"{job}_schedule"
    pythons = policy.environments[environment].pythons
    running = dg.DefaultScheduleStatus.RUNNING

    def tick(context: dg.ScheduleEvaluationContext, project: EltProject) -> Tick:
        """Upgrade everything within the rules; a lock that nothing would change in is kept."""
        moment = f"{context.scheduled_execution_time:%Y-%m-%d %H:%M}"
        for python in pythons:
            busy = _busy(name, environment, python, context, project)
            if busy:
                yield dg.SkipReason(f"{environment}@{python}: {busy}")
            else:
                yield dg.RunRequest(
                    job_name=job,
                    run_key=f"{moment} {python}",
                    partition_key=python,
                    tags={TRIGGER: f"schedule of {moment} UTC"},
                )

    try:
        decorate = dg.schedule(
            policy.relock_schedule,
            name=name,
            job=next(each for each in jobs if each.name == job),
            execution_timezone="UTC",
            default_status=running if policy.watch else dg.DefaultScheduleStatus.STOPPED,
            description=inspect.getdoc(tick),
        )
        return [decorate(tick)]
    except dg.DagsterInvalidDefinitionError as error:
        raise PolicyError(
            f"[tool.elt-env] relock-schedule: '{policy.relock_schedule}' is not a time as cron "
            "writes it.",
            "Write minute, hour, day, month and weekday, as in '0 4 * * 1', or '' for never.",
        ) from error


def _busy(
    name: str,
    environment: str,
    python: str,
    context: dg.ScheduleEvaluationContext,
    project: EltProject,
) -> str:
    """Return who makes that lock at the moment, or ""."""
    try:
        tools = project.tools(environment)
        target = target_here(environment, python)
    except EltEnvError:
        return ""  # the run says what is wrong, where people look for it
    under_way = Runs(context.instance).under_way(target)
    if under_way:
        return f"{under_way} is under way"
    other = claims.claim_run(str(tools.store.local_home), target, name)
    return f"{other} has just asked for a run" if other else ""
