"""What the ops and checks need from outside, and how failures reach Dagster."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from elt_env.errors import EltEnvError, InputError
from elt_env.model.target import Target
from elt_env.tools.settings import open_project
from elt_env.tools.toolbox import Toolbox, open_toolbox

RETRY = dg.RetryPolicy(max_retries=2, delay=5, backoff=dg.Backoff.EXPONENTIAL)
"""For what may go away by itself; a failure that cannot is raised with retries off."""


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
    context: dg.OpExecutionContext | dg.AssetCheckExecutionContext,
    project: EltProject,
    environment: str,
) -> Iterator[tuple[Toolbox, Target]]:
    """Yield the tools and this partition's target; what fails inside becomes `dagster.Failure`."""
    try:
        toolbox = project.toolbox(environment)
        if not context.has_partition_key:
            listed = ", ".join(toolbox.environment.pythons)
            raise InputError(
                f"No Python was chosen for '{environment}'.",
                f"Choose a partition ({listed}), as in: --tags '{{\"dagster/partition\": \"3.11\"}}'",
            )
        yield toolbox, toolbox.target(environment, context.partition_key)
    except EltEnvError as error:
        raise dg.Failure(
            description=str(error),
            metadata={"problem": error.problem, "remedy": error.remedy},
            allow_retries=error.retryable,
        ) from None
