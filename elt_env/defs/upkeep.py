"""The job that keeps the store small, and its schedule."""

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.resources import EltProject, reporting
from elt_env.defs.run_tags import IDENTITY
from elt_env.project.policy import Policy
from elt_env.release.collect import collect
from elt_env.store.collected import collected_text


def upkeep_definitions(policy: Policy) -> dg.Definitions:
    """Return the job `store_gc`, and its schedule where the policy has one."""
    environment = next(iter(policy.environments))

    @dg.op
    def collect_garbage(context: dg.OpExecutionContext, project: EltProject) -> None:
        """Remove what no release and no current lock refers to, and nobody used for a day."""
        with reporting(context):
            tools = project.tools(environment)
            found = collect(tools.project, tools.store, leveled(context.log))
            context.log.info(collected_text(found, dry_run=False))
            removed = "\n".join(f"- {each}" for each in found) or "Nothing."
            context.add_output_metadata(
                {
                    "removed": dg.MetadataValue.md(removed),
                    "items": dg.MetadataValue.int(len(found)),
                    "freed_bytes": dg.MetadataValue.int(sum(each.size for each in found)),
                }
            )

    @dg.job(
        tags=IDENTITY,
        description="Remove prefixes, images, layers and archives that nobody refers to.",
    )
    def store_gc() -> None:
        collect_garbage()

    status = dg.DefaultScheduleStatus
    schedule = dg.ScheduleDefinition(
        name="store_gc_schedule",
        job=store_gc,
        cron_schedule=policy.gc_schedule or "0 0 1 1 *",
        execution_timezone="UTC",
        default_status=status.RUNNING if policy.watch else status.STOPPED,
    )
    return dg.Definitions(jobs=[store_gc], schedules=[schedule] if policy.gc_schedule else [])
