"""The jobs that move a release at a person's word."""

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.names import group_name, python_partitions
from elt_env.defs.notices import tell
from elt_env.defs.release_metadata import release_metadata, release_version
from elt_env.defs.resources import EltProject, work
from elt_env.defs.run_tags import IDENTITY, TO, mover
from elt_env.model.policy import EnvironmentPolicy
from elt_env.stages import roll_back as rolling

# https://docs.dagster.io/api/dagster/assets#dagster.DataVersion: in events that a step logs
_DATA_VERSION = "dagster/data_version"


def release_jobs(environment: str, policy: EnvironmentPolicy) -> dg.Definitions:
    """Return the jobs `<environment>_promote` and `<environment>_rollback`."""
    name = group_name(environment)
    key = dg.AssetKey([environment, "release"])
    promote = dg.define_asset_job(
        f"{name}_promote",
        dg.AssetSelection.assets(key),
        tags=IDENTITY,
        description="Make the current lock the release, if all that the policy requires is proven.",
    )

    @dg.op(name=f"{name}_roll_back")
    def roll_back(context: dg.OpExecutionContext, project: EltProject) -> None:
        """Let the release be the one before again, or the one that the run's tag names."""
        with work(context, project, environment) as (toolbox, target):
            to = context.run.tags.get(TO) or None
            moved = rolling.roll_back(
                target, toolbox, leveled(context.log), to=to, **mover(context.run)
            )
            if not moved.kept:
                detail = f"{moved.release.action}: the lock {moved.release.digest}"
                tell("promoted", detail, target, toolbox, context.run, leveled(context.log))
            context.log_event(
                dg.AssetMaterialization(
                    key,
                    metadata=release_metadata(moved, target, toolbox),
                    partition=target.python,
                    tags={_DATA_VERSION: release_version(moved.release)},
                )
            )

    @dg.job(
        name=f"{name}_rollback",
        partitions_def=python_partitions(policy),
        tags=IDENTITY,
        description="Let the release be the one before again, or the lock whose digest the tag "
        f"{TO} is or starts with; built from its lock where its prefix is gone.",
    )
    def rollback() -> None:
        roll_back()

    return dg.Definitions(jobs=[promote, rollback])
