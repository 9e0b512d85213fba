"""The warehouse: the history of all targets in one DuckDB file, and dbt's marts over it.

It is a view of the store: the job `warehouse_refresh` loads what was written since the last time,
and all where there is nothing, or where it is asked for: `ops.load_history.config.full: true`.
"""

import json
from collections.abc import Iterator, Mapping
from importlib import metadata
from typing import Any

import dagster as dg

from elt_env.defs.automation import at_first
from elt_env.defs.names import owners
from elt_env.defs.resources import reporting
from elt_env.defs.run_tags import IDENTITY
from elt_env.defs.warehouse_tables import (
    GROUP,
    IO_MANAGER,
    Tables,
    raw_key,
    raw_schemas,
    shape,
)
from elt_env.environment.dbt import dbt_program, find_manifest
from elt_env.errors import EltEnvError
from elt_env.project.policy import Policy
from elt_env.project.project import Project
from elt_env.report.history import read_changes
from elt_env.report.history_rows import TABLES
from elt_env.report.warehouse import FILE_NAME, PROJECT, make_way, read_loaded, variables
from elt_env.runtime.input_files import read_stored
from elt_env.store.locks import Store

JOB = "warehouse_refresh"
_SECONDS = 30

_NEEDS = ("dagster-dbt", "dagster-duckdb-pandas", "dbt-core", "dbt-duckdb")
_SOURCES: Mapping[str, tuple[str, ...]] = {
    "locks": ("lockfile", "release"),
    "packages": ("lockfile",),
    "lock_changes": ("lockfile",),
    "evidence": ("environment", "image"),
    "releases": ("release",),
}
"""The assets of an environment whose making a table tells of."""


def warehouse_definitions(project: Project) -> dg.Definitions:
    """Return the warehouse's assets, their checks, and the job `warehouse_refresh`.

    Nothing where the policy wants none, and, with a warning, where there is nothing to build it
    with. A dbt project that cannot be parsed fails that job, and nothing else.
    """
    if not project.policy.warehouse:
        return dg.Definitions()
    missing = _missing(project)
    if missing:
        dg.get_dagster_logger().warning("There is no warehouse: %s", missing)
        return dg.Definitions()
    job = dg.define_asset_job(
        JOB,
        dg.AssetSelection.groups(GROUP),
        tags=IDENTITY,
        description="Load what is new in the store's history; build and test the marts over it.",
    )
    made = _assets(project).map_asset_specs(
        func=lambda spec: spec.replace_attributes(owners=[*spec.owners, *owners(project.policy)])
    )
    return dg.Definitions.merge(
        made, dg.Definitions(jobs=[job], sensors=[warehouse_sensor(project.policy, job)])
    )


def warehouse_sensor(policy: Policy, job: Any) -> dg.SensorDefinition:  # noqa: ANN401
    """Return the sensor that runs the job after a release, or a step back to one."""
    keys = [dg.AssetKey([name, "release"]) for name in policy.environments]

    @dg.sensor(
        name="warehouse_sensor",
        job=job,
        minimum_interval_seconds=_SECONDS,
        default_status=at_first(policy),
        description=f"Runs `{JOB}` after a release.",
    )
    def sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        newest = max((_newest(key, context.instance) for key in keys), default=0)
        known = context.cursor or "0"
        if str(newest) == known:
            return dg.SensorResult(skip_reason="no release since the last one", cursor=known)
        # A database that was made anew counts from one again, so there is no before and after.
        request = dg.RunRequest(run_key=f"release {newest}")
        return dg.SensorResult(run_requests=[request], cursor=str(newest))

    return sensor


def _newest(key: dg.AssetKey, instance: dg.DagsterInstance) -> int:
    """Return the number that Dagster's log gives the last materialization; 0 for none."""
    records = instance.fetch_materializations(key, limit=1).records
    return records[0].storage_id if records else 0


def _missing(project: Project) -> str:
    """Return in a sentence what the warehouse cannot do without, or ""."""
    if not (project.root / PROJECT).is_dir():
        return f"{project.root} has no {PROJECT}/."
    for name in _NEEDS:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            return (
                f"{name} is not installed, which there is for Python 3.10 to 3.13. Use one of "
                "these, or set warehouse = false in [tool.elt-env]."
            )
    return "" if dbt_program().exists() else f"{dbt_program()} does not exist."


def _assets(project: Project) -> dg.Definitions:
    limit = project.policy.tool_limit.total_seconds()
    cache = project.local_home / "cache" / "warehouse"
    path = project.local_home / FILE_NAME
    try:
        found = find_manifest(project.root / PROJECT, cache, variables(path), limit)
        manifest = json.loads(read_stored(found))
    except EltEnvError as error:
        return dg.Definitions(assets=[_broken(error)])
    # Slow to load, and of no use to anyone without a warehouse.
    from elt_env.defs.warehouse_marts import mart_definitions

    tables = dg.Definitions(
        assets=[history_asset(project, manifest)],
        resources={IO_MANAGER: Tables(database=str(path))},
    )
    return dg.Definitions.merge(tables, mart_definitions(project, manifest))


def _broken(error: EltEnvError) -> dg.AssetsDefinition:
    """Return an asset in place of the warehouse, which says why there is none."""

    @dg.asset(key=[GROUP, "broken"], group_name=GROUP, description=error.problem)
    def broken(context: dg.AssetExecutionContext) -> None:
        with reporting(context):
            raise error

    return broken


class LoadConfig(dg.Config):
    """How the history is loaded.

    Attributes:
        full: whether all of it is, whatever is there.
    """

    full: bool = False


def history_asset(project: Project, manifest: Mapping[str, Any]) -> dg.AssetsDefinition:
    """Return the assets `warehouse/raw/…`: every row of the store's history, each loaded once."""
    schemas = raw_schemas(manifest)
    path = project.local_home / FILE_NAME
    specs = [
        dg.AssetSpec(
            raw_key(table),
            deps=[
                dg.AssetKey([environment, asset])
                for environment in project.policy.environments
                for asset in _SOURCES[table]
            ],
            description=schemas[table].description,
            metadata={"dagster/column_schema": schemas[table].columns},
            group_name=GROUP,
            kinds={"pandas", "duckdb"},
        ).with_io_manager_key(IO_MANAGER)
        for table in TABLES
    ]

    @dg.multi_asset(name="load_history", specs=specs, can_subset=True)
    def load_history(
        context: dg.AssetExecutionContext, config: LoadConfig
    ) -> Iterator[dg.MaterializeResult[Any]]:
        """Read what was written to the store since the last time, and load what was selected."""
        with reporting(context):
            make_way(path, context.log.warning)
            shapes = {table: shape(schemas[table].columns) for table in TABLES}
            loaded = {} if config.full else read_loaded(path, shapes)
            store = Store(project.local_home, documents=project.documents)
            changes = read_changes(store, loaded, context.log.warning)
        for table, change in changes.items():
            if raw_key(table) in context.selected_asset_keys:
                yield dg.MaterializeResult(
                    asset_key=raw_key(table),
                    value=change,
                    data_version=dg.DataVersion(change.version),
                )

    return load_history
