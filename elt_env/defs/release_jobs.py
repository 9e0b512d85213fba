"""The jobs that move a release at a person's word."""

import dagster as dg
from pydantic import Field

from elt_env.defs.metadata import materialization
from elt_env.defs.names import target_partitions
from elt_env.defs.release_metadata import release_metadata, release_version
from elt_env.defs.resources import EltProject, Work, work
from elt_env.defs.run_tags import IDENTITY, TO, Mover, is_unasked, mover
from elt_env.project.policy import Policy
from elt_env.release.move import MoveResult
from elt_env.release.repair import mend


class Promote(dg.Config):
    """What a person may say of a promotion."""

    why: str = Field("", description="The reason, for the history of releases.")


class RollBack(Promote):
    """What a person may say of a roll back."""

    to: str = Field("", description="Digest of a lock, or its start; else the release before.")


@dg.op
def promote_lock(context: dg.OpExecutionContext, config: Promote, project: EltProject) -> None:
    """Let the release be the current lock, if all that is required is proven."""
    with work(context, project) as at:
        moved = at.promote_current(unasked=is_unasked(at.run.tags), **_mover(at, config))
        _report(moved, at, context)


@dg.op
def roll_back(context: dg.OpExecutionContext, config: RollBack, project: EltProject) -> None:
    """Let the release be the one before again, or the one that is asked for."""
    with work(context, project) as at:
        moved = at.roll_back(to=config.to or at.run.tags.get(TO), **_mover(at, config))
        _report(moved, at, context)


@dg.op
def repair_files(context: dg.OpExecutionContext, project: EltProject) -> None:
    """Read every file, and make again from the lock what is damaged."""
    with work(context, project) as at:
        damages = mend(at.target, at.tools, at.say)
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


def _mover(at: Work, said: Promote) -> Mover:
    known = mover(at.run)
    return Mover(trigger=said.why or known["trigger"], by=known["by"])


def _report(moved: MoveResult, at: Work, context: dg.OpExecutionContext) -> None:
    """Show a release on its asset."""
    shown = release_metadata(moved, at.target, at.tools.project, at.tools.store)
    key, version = [at.target.environment, "release"], release_version(moved.release)
    context.log_event(materialization(key, shown, version, at.target.python))
