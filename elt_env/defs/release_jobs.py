"""The jobs that move a release at a person's word."""

import dagster as dg
from pydantic import Field

from elt_env.defs.levels import leveled
from elt_env.defs.names import target_partitions
from elt_env.defs.notices import tell
from elt_env.defs.release_metadata import release_metadata, release_version
from elt_env.defs.resources import EltProject, work
from elt_env.defs.run_tags import IDENTITY, TO, Mover, is_unasked, mover
from elt_env.package.target import Target
from elt_env.project.policy import Policy
from elt_env.release import promote as promoting
from elt_env.release import roll_back as rolling
from elt_env.release.move import MoveResult
from elt_env.release.repair import mend
from elt_env.toolbox import Toolbox

# https://docs.dagster.io/api/dagster/assets#dagster.DataVersion: in events that a step logs
_DATA_VERSION = "dagster/data_version"


class Promote(dg.Config):
    """What a person may say of a promotion."""

    why: str = Field("", description="The reason, for the history of releases.")


class RollBack(Promote):
    """What a person may say of a roll back."""

    to: str = Field("", description="Digest of a lock, or its start; else the release before.")


@dg.op
def promote_lock(context: dg.OpExecutionContext, config: Promote, project: EltProject) -> None:
    """Let the release be the current lock, if all that is required is proven."""
    with work(context, project) as (toolbox, target):
        say, why = leveled(context.log), _mover(context, config)
        unasked = is_unasked(context.run.tags)
        moved = promoting.promote(target, toolbox, say, unasked=unasked, **why)
        _report(moved, f"the lock {moved.release.digest}", target, toolbox, context)


@dg.op
def roll_back(context: dg.OpExecutionContext, config: RollBack, project: EltProject) -> None:
    """Let the release be the one before again, or the one that is asked for."""
    with work(context, project) as (toolbox, target):
        say, why = leveled(context.log), _mover(context, config)
        to = config.to or context.run.tags.get(TO)
        moved = rolling.roll_back(target, toolbox, say, to=to, **why)
        detail = f"{moved.release.action}: the lock {moved.release.digest}"
        _report(moved, detail, target, toolbox, context)


@dg.op
def repair_files(context: dg.OpExecutionContext, project: EltProject) -> None:
    """Read every file, and make again from the lock what is damaged."""
    with work(context, project) as (toolbox, target):
        damages = mend(target, toolbox, leveled(context.log))
        context.add_output_metadata(
            {
                "damages": dg.MetadataValue.int(len(damages)),
                "repaired": dg.MetadataValue.md("\n".join(f"- {each}" for each in damages)),
            }
        )


def release_jobs(policy: Policy) -> dg.Definitions:
    """Return the jobs `promote`, `rollback` and `repair`, whose partitions are the targets."""
    targets = target_partitions(policy)

    @dg.job(
        partitions_def=targets,
        tags=IDENTITY,
        description="Make the current lock the release, if all that the policy requires is proven; "
        "with the reason that is written as `why` in the run's config.",
    )
    def promote() -> None:
        promote_lock()

    @dg.job(
        partitions_def=targets,
        tags=IDENTITY,
        description="Let the release be the one before again, or with `to` in the run's config the "
        "lock whose digest that is or starts with; built from its lock where its prefix is gone. "
        f"The tag {TO} does the same.",
    )
    def rollback() -> None:
        roll_back()

    @dg.job(
        partitions_def=targets,
        tags=IDENTITY,
        description="Read every file of the locks, prefixes, images and entry points; make again "
        "from the lock what was changed. What still works goes on working meanwhile.",
    )
    def repair() -> None:
        repair_files()

    return dg.Definitions(jobs=[promote, rollback, repair])


def _mover(context: dg.OpExecutionContext, said: Promote) -> Mover:
    known = mover(context.run)
    return Mover(trigger=said.why or known["trigger"], by=known["by"])


def _report(
    moved: MoveResult, detail: str, target: Target, toolbox: Toolbox, context: dg.OpExecutionContext
) -> None:
    """Show a release on its asset; where it has moved, tell of it."""
    if not moved.kept:
        tell("promoted", detail, target, toolbox, context.run, leveled(context.log))
    context.log_event(
        dg.AssetMaterialization(
            dg.AssetKey([target.environment, "release"]),
            metadata=release_metadata(moved, target, toolbox),
            partition=target.python,
            tags={_DATA_VERSION: release_version(moved.release)},
        )
    )
