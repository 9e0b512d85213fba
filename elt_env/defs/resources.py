"""What the ops and checks need from outside, and how failures reach Dagster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.notices import tell
from elt_env.errors import EltEnvError, InputError
from elt_env.model.target import Target
from elt_env.tools.masking import hidden
from elt_env.tools.settings import open_project
from elt_env.tools.toolbox import Toolbox, open_toolbox

Context = dg.OpExecutionContext | dg.AssetExecutionContext | dg.AssetCheckExecutionContext

_RETRIES = 2
_RETRY_SECONDS = 5


class EltProject(dg.ConfigurableResource[None]):
    """The project whose environments are built.

    Attributes:
        directory: where its pyproject.toml is; "" for the one that Dagster was started in.
    """

    directory: str = ""

    def toolbox(self, environment: str) -> Toolbox:
        """Return the tools of one environment."""
        start = Path(self.directory) if self.directory else None
        return open_toolbox(open_project(start), environment)


@contextlib.contextmanager
def work(
    context: Context, project: EltProject, environment: str
) -> Iterator[tuple[Toolbox, Target]]:
    """Yield the tools and this partition's target; what fails inside is reported, and told."""
    with reporting(context):
        toolbox = project.toolbox(environment)
        if not context.has_partition_key:
            listed = ", ".join(toolbox.environment.pythons)
            raise InputError(
                f"No Python was chosen for '{environment}'.",
                f'Choose a partition ({listed}), as in: --tags \'{{"dagster/partition": "3.11"}}\'',
            )
        target = toolbox.target(environment, context.partition_key)
        try:
            yield toolbox, target
        except EltEnvError as error:
            if not _is_tried_again(error, context):
                tell(
                    "blocked",
                    hidden(error.problem),
                    target,
                    toolbox,
                    context.run,
                    leveled(context.log),
                )
            raise


@contextlib.contextmanager
def reporting(context: Context) -> Iterator[None]:
    """Let what fails inside reach Dagster.

    A failure that may go away by itself is tried again; any other is a `dagster.Failure` with the
    problem and the remedy.
    """
    try:
        yield
    except EltEnvError as error:
        # Not a RetryPolicy: under one, Dagster takes a cancelled run for a step to try again.
        if _is_tried_again(error, context):
            context.log.warning("%s\ntrying again in %d s", hidden(str(error)), _RETRY_SECONDS)
            raise dg.RetryRequested(_RETRIES, seconds_to_wait=_RETRY_SECONDS) from error
        raise dg.Failure(
            description=hidden(str(error)),
            metadata={
                "problem": hidden(error.problem),
                "remedy": hidden(error.remedy),
                "may_go_away": error.retryable,
            },
            allow_retries=False,
        ) from None


def _is_tried_again(error: EltEnvError, context: Context) -> bool:
    return error.retryable and getattr(context, "retry_number", _RETRIES) < _RETRIES
