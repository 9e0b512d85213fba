"""Steps: the ops that assets are made of, which know nothing of Dagster but what they end with."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.notices import tell
from elt_env.defs.resources import work
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.release.notice import Outcome
from elt_env.toolbox import Toolbox

Made = dg.MaterializeResult[None]
"""What the last step of an asset ends with."""

_T = TypeVar("_T")


@dataclass(frozen=True)
class Work:
    """What a step works on, and with what.

    Attributes:
        target: the environment of the step's asset, at the Python that is the run's partition.
        say: told of progress, for the log of the step.
        run: that the step belongs to.
    """

    target: Target
    toolbox: Toolbox
    say: Say
    run: dg.DagsterRun

    @property
    def tags(self) -> Mapping[str, str]:
        """What the run is steered with."""
        return self.run.tags

    def tell(self, outcome: Outcome, detail: str) -> None:
        """Tell others of an outcome, where the policy says so."""
        tell(outcome, detail, self.target, self.toolbox, self.run, self.say)


def step(body: Callable[..., _T]) -> Callable[..., _T]:
    """Return the op of that name, which any environment's asset may take as a step.

    Its first parameter gets the Work. The others are what the steps before it have returned; one
    that is annotated None is an asset that has to be there, and gets nothing. What returns Made
    ends its asset.
    """
    signature = inspect.signature(body)
    _, *parameters = signature.parameters.values()
    ins = {each.name.lstrip("_"): each for each in parameters}
    ends = signature.return_annotation is Made

    @dg.op(
        name=body.__name__,
        description=inspect.getdoc(body),
        ins={
            name: dg.In(dg.Nothing if each.annotation is None else dg.Any)
            for name, each in ins.items()
        },
        out=None if ends else dg.Out(dg.Any),
        required_resource_keys={"project"},
    )
    def compute(context: dg.OpExecutionContext, **given: Any) -> Any:  # noqa: ANN401  # any step's
        (environment, _), *_ = (key.path for key in context.assets_def.keys)
        with work(context, context.resources.project, environment) as (toolbox, target):
            at = Work(target, toolbox, leveled(context.log), context.run)
            return body(at, *(given.get(name) for name in ins))

    return cast("Callable[..., _T]", compute)
