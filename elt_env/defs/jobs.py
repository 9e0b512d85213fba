"""The jobs of an environment."""

from __future__ import annotations

import dagster as dg

from elt_env.defs.names import group_name, python_partitions
from elt_env.defs.run_tags import EVERYTHING, UPGRADE
from elt_env.model.policy import EnvironmentPolicy, Policy


def environment_jobs(environment: str, policy: EnvironmentPolicy) -> dg.Definitions:
    """Return the jobs `<environment>_build` and `<environment>_relock`.

    Both end with a proven environment; `build` keeps the lock while it satisfies, `relock`
    upgrades it.
    """
    name = group_name(environment)
    build = dg.define_asset_job(
        f"{name}_build",
        dg.AssetSelection.groups(name),
        partitions_def=python_partitions(policy),
        description="Lock where needed, install what is locked, and prove it.",
    )
    relock = dg.define_asset_job(
        f"{name}_relock",
        dg.AssetSelection.groups(name),
        partitions_def=python_partitions(policy),
        tags={UPGRADE: EVERYTHING},
        description="Upgrade the lock within the spec and the policy, install and prove it. "
        f"With the tag {UPGRADE} set to names, as in 'dagster,duckdb', upgrade only these.",
    )
    return dg.Definitions(jobs=[build, relock])


def executor(policy: Policy) -> dg.ExecutorDefinition:
    """Return the executor that the policy names; in-process costs no new process a step."""
    if policy.executor == "multiprocess":
        return dg.multiprocess_executor
    return dg.in_process_executor
