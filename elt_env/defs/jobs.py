"""The jobs of an environment."""

from __future__ import annotations

from typing import Any

import dagster as dg

from elt_env.defs.names import group_name, python_partitions
from elt_env.defs.run_tags import AGAIN, EVERYTHING, UPGRADE
from elt_env.model.policy import EnvironmentPolicy, Policy
from elt_env.stages.prove import SMOKE_CHECKS


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
    smoke = [_smoke_job(environment, check, policy) for check in SMOKE_CHECKS]
    return dg.Definitions(jobs=[build, relock, *smoke])


def _smoke_job(environment: str, check: str, policy: EnvironmentPolicy) -> Any:  # noqa: ANN401  # Dagster keeps the class to itself
    """Return `<environment>_<check>`, which runs that check alone, and always."""
    key = dg.AssetCheckKey(dg.AssetKey([environment, "environment"]), check)
    return dg.define_asset_job(
        f"{group_name(environment)}_{check}",
        dg.AssetSelection.checks(key),
        partitions_def=python_partitions(policy),
        tags={AGAIN: "yes"},
        description=f"{(SMOKE_CHECKS[check].__doc__ or '').strip()} On what is built.",
    )


def executor(policy: Policy) -> dg.ExecutorDefinition:
    """Return the executor that the policy names; in-process costs no new process a step."""
    if policy.executor == "multiprocess":
        return dg.multiprocess_executor
    return dg.in_process_executor
