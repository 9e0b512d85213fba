"""Steps: the ops that assets are made of, which know nothing of Dagster but what they end with."""

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import dagster as dg

from elt_env.defs.names import group_name
from elt_env.defs.resources import work

Made = dg.MaterializeResult[None]
"""What the last step of an asset ends with."""

_BEFORE = "before"


@dataclass(frozen=True)
class Step:
    """A step of any environment's asset.

    Attributes:
        name: as its ops are called in an asset.
        of: returns the op for an environment, always the same.
    """

    name: str
    of: Callable[[str], dg.OpDefinition]


def step(body: Callable[..., Any]) -> Step:
    """Return what makes a step of any environment's asset.

    Its first parameter gets the Work. The other is what the step before it has returned; where it
    is annotated None, it is an asset that has to be there, and gets nothing. What returns Made
    ends its asset.

    The steps of an environment are in one pool, of which dagster.yaml lets in a run at a time: the
    others are queued where one sees them. What must not be done twice is locked besides.
    """
    signature = inspect.signature(body)
    _, before = signature.parameters.values()
    kind = dg.Nothing if before.annotation is None else dg.Any
    ends = signature.return_annotation is Made

    @functools.cache
    def of(environment: str) -> dg.OpDefinition:
        @dg.op(
            name=f"{group_name(environment)}__{body.__name__}",
            description=inspect.getdoc(body),
            ins={_BEFORE: dg.In(kind)},
            out=None if ends else dg.Out(dg.Any),
            required_resource_keys={"project"},
            pool=group_name(environment),
        )
        def compute(context: dg.OpExecutionContext, **given: Any) -> Any:  # noqa: ANN401  # any step's
            with work(context, context.resources.project, environment) as at:
                return body(at, given.get(_BEFORE))

        return compute

    return Step(body.__name__, of)


def chain(environment: str, given: Any, *steps: Step) -> Made:  # noqa: ANN401  # what steps return
    """Return what an environment's steps end with, each given what the one before returns."""
    for each in steps:
        given = each.of(environment).alias(each.name)(given)
    return cast("Made", given)
