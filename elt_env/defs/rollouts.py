"""Rollouts in waves: a job that opens the next one or goes back, and its sensor."""

from collections.abc import Iterator

import dagster as dg

from elt_env.defs.automation import at_first
from elt_env.defs.names import target_partitions
from elt_env.defs.resources import EltProject, work
from elt_env.defs.run_tags import IDENTITY, TRIGGER
from elt_env.errors import EltEnvError
from elt_env.follow.rollout import advance, progress
from elt_env.project.policy import Policy
from elt_env.runtime.masking import hidden

_EACH = 60  # seconds


@dg.op
def advance_rollout(context: dg.OpExecutionContext, project: EltProject) -> None:
    """Open the waves that may be opened, or go back to the release before."""
    with work(context, project) as at:
        now = advance(at, by=f"job rollout, run {context.run_id[:8]}")
        context.add_output_metadata({"progress": dg.MetadataValue.text(now.text)})


def rollout_definitions(policy: Policy) -> dg.Definitions:
    """Return the job `rollout` and its sensor, where an environment goes out in waves."""
    names = [name for name, each in policy.environments.items() if each.rollout]
    if not names:
        return dg.Definitions()

    @dg.job(
        partitions_def=target_partitions(policy),
        tags=IDENTITY,
        description="Let more of the machines that follow take the release, or go back.",
    )
    def rollout() -> None:
        advance_rollout()

    @dg.sensor(
        name="rollout_sensor",
        job=rollout,
        minimum_interval_seconds=_EACH,
        default_status=at_first(policy),
        description="Reads what the machines that follow report, and asks for the job `rollout` "
        "when the next wave may begin, or one of them failed.",
    )
    def sensor(project: EltProject) -> Iterator[dg.RunRequest | dg.SkipReason]:
        for name in names:
            for python in policy.environments[name].pythons:
                yield _asked(f"{name}@{python}", project)

    return dg.Definitions(jobs=[rollout], sensors=[sensor])


def _asked(target: str, project: EltProject) -> dg.RunRequest | dg.SkipReason:
    try:
        now = progress(target, project.tools(target.partition("@")[0]).store)
    except EltEnvError as error:
        raise dg.Failure(hidden(str(error)), allow_retries=False) from error
    if now.release is None or not now.decision or now.decision.verdict not in ("open", "stop"):
        return dg.SkipReason(now.text)
    key = f"{target} {now.release.number} {now.wave} {now.decision.verdict}"
    return dg.RunRequest(run_key=key, partition_key=target, tags={TRIGGER: now.text})
