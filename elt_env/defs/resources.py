"""Resources of the ops and checks, and the way from errors to Dagster's failures."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from elt_env.defs.levels import leveled
from elt_env.defs.names import target_names
from elt_env.defs.run_tags import TRIGGER
from elt_env.errors import EltEnvError, InputError
from elt_env.machine.platform import target_here
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.pipeline import Pipeline
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.runtime.masking import hidden
from elt_env.tools import Tools, open_tools

Context = dg.OpExecutionContext | dg.AssetExecutionContext | dg.AssetCheckExecutionContext

_RETRIES = 2
_RETRY_SECONDS = 5


class EltProject(dg.ConfigurableResource[None]):
    """The project whose environments are built.

    Attributes:
        directory: where its pyproject.toml is; "" for the one that Dagster was started in.
    """

    directory: str = ""

    def tools(self, environment: str) -> Tools:
        """Return the tools of one environment."""
        return open_tools(self._open(), environment)

    def targets(self) -> list[str]:
        """Return the names of all targets of the policy, as in `elt@3.11`."""
        return target_names(self._open().policy)

    def _open(self) -> Project:
        return open_project(Path(self.directory) if self.directory else None)


@dataclass(frozen=True, kw_only=True)
class Work(Pipeline):
    """What a run works on, and with what.

    Attributes:
        run: what others are told it belongs to; its tags steer it.
    """

    tools: Tools
    run: dg.DagsterRun


def work_of(run: dg.DagsterRun, target: Target, tools: Tools, say: Say) -> Work:
    """Return what a run works on; others are told the trigger in its tags."""
    trigger = run.tags.get(TRIGGER, "")
    return Work(target=target, tools=tools, say=say, trigger=trigger, run_id=run.run_id, run=run)


@contextlib.contextmanager
def work(context: Context, project: EltProject, environment: str | None = None) -> Iterator[Work]:
    """Yield what the run works on; what fails inside is reported, and told.

    The run's partition is a Python of the environment; without one it is a target, as `elt@3.11`.
    """
    with reporting(context):
        tools, target = _chosen(context, project, environment)
        at = work_of(context.run, target, tools, leveled(context.log))
        try:
            yield at
        except EltEnvError as error:
            if not _is_tried_again(error, context):
                at.tell("blocked", hidden(error.problem))
            raise


def _chosen(context: Context, project: EltProject, environment: str | None) -> tuple[Tools, Target]:
    """Return the tools and the target that a run's partition names.

    Raises:
        InputError: the run has no partition.
    """
    if environment is not None:
        tools = project.tools(environment)
        python = _partition(
            context, f"Python was chosen for '{environment}'", tools.environment.pythons
        )
        return tools, target_here(environment, python)
    known = project.targets()
    name, _, python = _partition(context, "target was chosen", known).partition("@")
    tools = project.tools(name)
    return tools, target_here(name, python)


def _partition(context: Context, what: str, known: Sequence[str]) -> str:
    if context.has_partition_key:
        return context.partition_key
    tag = f'{{"dagster/partition": "{known[0]}"}}'
    raise InputError(
        f"No {what}.", f"Choose a partition ({', '.join(known)}), as in: --tags '{tag}'"
    )


def after_a_crash(executor: dg.ExecutorDefinition | None) -> dg.RetryPolicy | None:
    """Return how often a step is begun again whose process is gone; what a step reports is final.

    In-process there is nothing to survive, and Dagster takes a cancelled step for one to try again.
    """
    if executor is None or executor is dg.in_process_executor:
        return None
    return dg.RetryPolicy(max_retries=_RETRIES, delay=_RETRY_SECONDS)


@contextlib.contextmanager
def reporting(context: Context) -> Iterator[None]:
    """Let what fails inside reach Dagster.

    A failure that may go away by itself is tried again; any other is a `dagster.Failure` with the
    problem and the remedy.
    """
    try:
        yield
    except EltEnvError as error:
        # Not a RetryPolicy alone: see `after_a_crash`.
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
