"""The dbt models of the history: each model and seed an asset, each data test a check of it."""

import contextlib
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timezone
from functools import cached_property
from importlib import metadata
from pathlib import Path
from typing import Any

import dagster as dg
from packaging.version import Version

from elt_env.defs.without_dbt import importing_without_dbt

with importing_without_dbt():
    from dagster_dbt import (
        DagsterDbtTranslator,
        DagsterDbtTranslatorSettings,
        DbtCliInvocation,
        DbtCliResource,
        dbt_assets,
    )

from elt_env.defs.resources import reporting
from elt_env.defs.warehouse_tables import (
    GROUP,
    mart_key,
    mart_metadata,
    mart_queries,
    raw_key,
)
from elt_env.environment.dbt import dbt_program
from elt_env.environment.scratch_dir import scratch_dir
from elt_env.errors import ToolError
from elt_env.project.project import Project
from elt_env.report.warehouse import FILE_NAME, PROJECT, look, variables

_DAY = "ELT_AS_OF"
_PLAIN = "--no-use-colors"
_FROM_HERE = "Errors parsed from dbt logs:"  # what dagster-dbt writes before them


class Keys(DagsterDbtTranslator):
    """Names dbt's nodes: sources are the tables that are loaded, and all else stands beside."""

    def get_asset_key(self, dbt_resource_props: Mapping[str, Any]) -> dg.AssetKey:
        """Return the key of a node."""
        name = dbt_resource_props["name"]
        return raw_key(name) if dbt_resource_props["resource_type"] == "source" else mart_key(name)

    def get_group_name(self, dbt_resource_props: Mapping[str, Any]) -> str:
        """Return the group of all that is in the warehouse."""
        del dbt_resource_props
        return GROUP


class DbtCommand(DbtCliResource):
    """dbt as a command, and nothing else of it.

    The two members spare what costs seconds and is not used here: loading dbt into this process,
    too, and starting it a second time for its version.
    """

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> None:  # type: ignore[override]
        del args

    @cached_property
    def _cli_version(self) -> Version:
        return Version(metadata.version("dbt-core"))


def mart_definitions(project: Project, manifest: Mapping[str, Any]) -> dg.Definitions:
    """Return dbt's assets and their checks, over the dbt project of that manifest."""
    translator = Keys(DagsterDbtTranslatorSettings(enable_source_tests_as_checks=True))

    @dbt_assets(manifest=manifest, dagster_dbt_translator=translator, name="build_marts")
    def build_marts(context: dg.AssetExecutionContext, dbt: DbtCommand) -> Iterator[Any]:
        """Let dbt build and test what was selected."""
        with reporting(context), scratch_dir(project.local_home, GROUP) as place:
            given = json.dumps({**variables(project.local_home / FILE_NAME), "as_of": _day()})
            # Unit tests have no asset to report on.
            command = ["build", "--exclude-resource-type", "unit_test", "--vars", given, _PLAIN]
            invocation = dbt.cli(
                command, context=context, target_path=place.path, raise_on_error=False
            )
            limit = project.policy.tool_limit.total_seconds()
            with _ended_after(limit, invocation):
                events = list(invocation.stream())
            # DuckDB lets nobody read before dbt has ended.
            yield from _with_numbers(context, project, events)
            error = invocation.get_error()
            if error:
                raise _failure(error, place.path)

    return dg.Definitions(
        assets=[build_marts],
        resources={
            "dbt": DbtCommand(
                project_dir=os.fspath(project.root / PROJECT),
                profiles_dir=os.fspath(project.root / PROJECT),
                dbt_executable=os.fspath(dbt_program()),
            )
        },
    )


def _failure(error: Exception, place: Path) -> ToolError:
    """Return the error for a build that failed, with dbt's own words for it."""
    text = str(error)
    words = text.partition(_FROM_HERE)[2] or text
    return ToolError(
        f"dbt build failed:\n{words.strip()}",
        f"Correct what it names, in {PROJECT}/ or in the store; see {place / 'dbt.log'}.",
    )


def _day() -> str:
    """Return the day that ages are counted to: ELT_AS_OF, else today's."""
    return os.environ.get(_DAY) or f"{datetime.now(timezone.utc):%Y-%m-%d}"


@contextlib.contextmanager
def _ended_after(limit: float, invocation: DbtCliInvocation) -> Iterator[None]:
    """End dbt when the block has taken longer than `limit` seconds."""
    timer = threading.Timer(limit, invocation.process.terminate)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _with_numbers(
    context: dg.AssetExecutionContext, project: Project, events: Sequence[Any]
) -> Iterator[Any]:
    """Yield dbt's events, with what is in each table that was built."""
    built = {
        each.output_name: context.asset_key_for_output(each.output_name).path[-1]
        for each in events
        if isinstance(each, dg.Output)
    }
    queries = {name: query for each in built.values() for name, query in mart_queries(each).items()}
    answers = look(project.local_home / FILE_NAME, queries) if queries else {}
    for each in events:
        if isinstance(each, dg.Output):
            numbers = mart_metadata(built[each.output_name], answers)
            yield each.with_metadata({**each.metadata, **numbers})
        else:
            yield each
