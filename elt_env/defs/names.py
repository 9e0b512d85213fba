"""The names of environments in Dagster."""

from __future__ import annotations

from typing import Any

import dagster as dg

from elt_env.defs.run_tags import ENVIRONMENT
from elt_env.project.policy import EnvironmentPolicy, Policy


def python_partitions(policy: EnvironmentPolicy) -> dg.StaticPartitionsDefinition:
    """Return the partitions of an environment: its Python minors, as in `3.11`."""
    return dg.StaticPartitionsDefinition(list(policy.pythons))


def target_names(policy: Policy) -> list[str]:
    """Return the names of all targets of a policy, as in `elt@3.11`."""
    return [
        f"{name}@{python}" for name, each in policy.environments.items() for python in each.pythons
    ]


def target_partitions(policy: Policy) -> dg.StaticPartitionsDefinition:
    """Return the partitions of what is about one target of any environment, as in `elt@3.11`."""
    return dg.StaticPartitionsDefinition(target_names(policy))


def group_name(environment: str) -> str:
    """Return an environment's name as Dagster allows it for groups, jobs and ops."""
    return environment.replace("-", "_")


def about(
    environment: str,
    asset: str,
    policy: EnvironmentPolicy,
    kinds: set[str],
    *,
    after: str,
) -> dict[str, Any]:
    """Return what every asset of an environment has, as its key, group, partitions and owners.

    The asset `after` has to be there, and the steps get it as an input of that name that holds
    nothing.
    """
    return {
        "key": [environment, asset],
        "group_name": group_name(environment),
        "partitions_def": python_partitions(policy),
        "kinds": kinds,
        "owners": list(policy.owners),
        "tags": {ENVIRONMENT: environment},
        "backfill_policy": dg.BackfillPolicy.multi_run(max_partitions_per_run=1),
        "ins": {after: dg.AssetIn([environment, after], dagster_type=dg.Nothing)},
    }


def owners(policy: Policy) -> list[str]:
    """Return the owners of all environments, who own what is told of all of them."""
    return sorted({owner for each in policy.environments.values() for owner in each.owners})
