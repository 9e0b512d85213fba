"""How environments are named in Dagster."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from elt_env.model.policy import EnvironmentPolicy

OpDecorator = Callable[[Callable[..., Any]], dg.OpDefinition]


def python_partitions(policy: EnvironmentPolicy) -> dg.StaticPartitionsDefinition:
    """Return the partitions of an environment: its Python minors, as in `3.11`."""
    return dg.StaticPartitionsDefinition(list(policy.pythons))


def group_name(environment: str) -> str:
    """Return an environment's name as Dagster allows it for groups, jobs and ops."""
    return environment.replace("-", "_")


def op_name(environment: str, step: str) -> str:
    """Return a name for an op that no other environment's op has."""
    return f"{group_name(environment)}_{step}"


def about(
    environment: str, asset: str, policy: EnvironmentPolicy, kinds: set[str]
) -> dict[str, Any]:
    """Return what every asset of an environment has: its key, group, partitions and kinds."""
    return {
        "key": [environment, asset],
        "group_name": group_name(environment),
        "partitions_def": python_partitions(policy),
        "kinds": kinds,
    }


def step(environment: str, name: str, /, **inputs: Any) -> OpDecorator:  # noqa: ANN401  # Dagster's types
    """Return what makes an op that hands a value of any type to the next."""
    return dg.op(name=op_name(environment, name), ins=_ins(inputs), out=dg.Out(dg.Any))


def last_step(environment: str, name: str, /, **inputs: Any) -> OpDecorator:  # noqa: ANN401
    """Return what makes the op that ends an asset."""
    return dg.op(name=op_name(environment, name), ins=_ins(inputs))


def _ins(inputs: Mapping[str, Any]) -> dict[str, dg.In]:
    return {each: dg.In(kind) for each, kind in inputs.items()}
