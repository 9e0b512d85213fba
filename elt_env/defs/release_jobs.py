"""The jobs that move a release at a person's word."""

import dagster as dg
from pydantic import Field

from elt_env.defs.levels import leveled
from elt_env.defs.names import group_name, python_partitions
from elt_env.defs.notices import tell
from elt_env.defs.release_metadata import release_metadata, release_version
from elt_env.defs.resources import EltProject, work
from elt_env.defs.run_tags import IDENTITY, TO, mover
from elt_env.model.policy import EnvironmentPolicy
from elt_env.stages import roll_back as rolling
from elt_env.stages.repair import mend

# https://docs.dagster.io/api/dagster/assets#dagster.DataVersion: in events that a step logs
_DATA_VERSION = "dagster/data_version"


class RollBack(dg.Config):
    """What a person may say of a roll back."""

    to: str = Field("", description="Digest of a lock, or its start; else the release before.")
    why: str = Field("", description="The reason, for the history of releases.")


def release_jobs(environment: str, policy: EnvironmentPolicy) -> dg.Definitions:
    """Return the jobs `<environment>_promote`, `_rollback` and `_repair`."""
    name = group_name(environment)
    key = dg.AssetKey([environment, "release"])
    promote = dg.define_asset_job(
        f"{name}_promote",
        dg.AssetSelection.assets(key),
        tags=IDENTITY,
        description="Make the current lock the release, if all that the policy requires is proven.",
    )

    @dg.op(name=f"{name}_roll_back")
    def roll_back(context: dg.OpExecutionContext, config: RollBack, project: EltProject) -> None:
        """Let the release be the one before again, or the one that is asked for."""
        with work(context, project, environment) as (toolbox, target):
            say, why = leveled(context.log), mover(context.run)
            if config.why:
                why["trigger"] = config.why
            to = config.to or context.run.tags.get(TO)
            moved = rolling.roll_back(target, toolbox, say, to=to, **why)
            if not moved.kept:
                detail = f"{moved.release.action}: the lock {moved.release.digest}"
                tell("promoted", detail, target, toolbox, context.run, say)
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
        description="Let the release be the one before again, or with `to` in the run's config the "
        "lock whose digest that is or starts with; built from its lock where its prefix is gone. "
        f"The tag {TO} does the same.",
    )
    def rollback() -> None:
        roll_back()

    @dg.op(name=f"{name}_repair_files")
    def repair_files(context: dg.OpExecutionContext, project: EltProject) -> None:
        """Read every file, and make again from the lock what is damaged."""
        with work(context, project, environment) as (toolbox, target):
            damages = mend(target, toolbox, leveled(context.log))
            context.add_output_metadata(
                {
                    "damages": dg.MetadataValue.int(len(damages)),
                    "repaired": dg.MetadataValue.md("\n".join(f"- {each}" for each in damages)),
                }
            )

    @dg.job(
        name=f"{name}_repair",
        partitions_def=python_partitions(policy),
        tags=IDENTITY,
        description="Read every file of the locks, prefixes, images and entry points; make again "
        "from the lock what was changed. What still works goes on working meanwhile.",
    )
    def repair() -> None:
        repair_files()

    return dg.Definitions(jobs=[promote, rollback, repair])
