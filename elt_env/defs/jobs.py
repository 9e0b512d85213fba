"""The jobs of an environment."""

from __future__ import annotations

import dagster as dg

from elt_env.defs.assets import group_name, python_partitions
from elt_env.model.policy import EnvironmentPolicy, Policy

_CONSOLE = {"loggers": {"console": {}}}


def environment_jobs(environment: str, policy: EnvironmentPolicy) -> list[object]:
    """Return `<environment>_build` and `<environment>_relock`.

    Both end with a proven environment; `build` keeps the lock while it satisfies, `relock`
    upgrades it.
    """
    name = group_name(environment)
    everything = dg.AssetSelection.groups(name)
    upgrade = {"ops": {"solve_conda": {"config": {"everything": True}}}}
    return [
        dg.define_asset_job(
            f"{name}_build",
            everything,
            partitions_def=python_partitions(policy),
            config=_CONSOLE,
            description="Lock where needed, install what is locked, and prove it.",
        ),
        dg.define_asset_job(
            f"{name}_relock",
            everything,
            partitions_def=python_partitions(policy),
            config={**_CONSOLE, "ops": {f"{environment}__lockfile": upgrade}},
            description="Upgrade the lock within the spec and the policy, install and prove it. "
            "In the launchpad, name packages to upgrade only these.",
        ),
    ]


def executor(policy: Policy) -> dg.ExecutorDefinition:
    """Return the executor that the policy names; in-process costs no new process a step."""
    if policy.executor == "multiprocess":
        return dg.multiprocess_executor
    return dg.in_process_executor
