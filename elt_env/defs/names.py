"""How environments are named in Dagster."""

from __future__ import annotations

import dagster as dg

from elt_env.model.policy import EnvironmentPolicy


def python_partitions(policy: EnvironmentPolicy) -> dg.StaticPartitionsDefinition:
    """Return the partitions of an environment: its Python minors, as in `3.11`."""
    return dg.StaticPartitionsDefinition(list(policy.pythons))


def group_name(environment: str) -> str:
    """Return an environment's name as Dagster allows it for groups, jobs and ops."""
    return environment.replace("-", "_")


def op_name(environment: str, step: str) -> str:
    """Return a name for an op that no other environment's op has."""
    return f"{group_name(environment)}_{step}"
