"""A team's models and what is made of them, run by the interpreter of the release."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

_HERE = Path(__file__).parent

# The dbt of this interpreter's own environment: a run goes on with it when the release moves.
_DBT = Path(sys.prefix) / "bin" / "dbt"

project = DbtProject(project_dir=_HERE / "dbt")
project.prepare_if_dev()


@dbt_assets(manifest=project.manifest_path)
def models(context: dg.AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Everything that the dbt project builds; its data tests are asset checks."""
    yield from dbt.cli(["build"], context=context).stream()


@dg.asset(deps=["orders_by_day"], group_name="reports", kinds={"duckdb"})
def best_day() -> dg.MaterializeResult[None]:
    """The day with the highest revenue, read with the DuckDB of the release."""
    mart = _HERE / "dbt" / "orders_by_day.parquet"
    query = "select order_date::text, revenue from read_parquet($1) order by revenue desc limit 1"
    day, revenue = duckdb.execute(query, [str(mart)]).fetchall()[0]
    return dg.MaterializeResult(
        metadata={"day": day, "revenue": float(revenue), "environment": sys.prefix}
    )


refresh = dg.define_asset_job(
    "refresh",
    dg.AssetSelection.assets(models, best_day),
    description="Build the models, and what follows of them.",
)
_UNDER_WAY = dg.RunsFilter(
    job_name="refresh",
    statuses=[
        dg.DagsterRunStatus.QUEUED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.STARTED,
    ],
)


@dg.schedule(job=refresh, cron_schedule="* * * * *")
def every_minute(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Refresh, unless the run before is still at it: DuckDB has one writer."""
    if context.instance.get_runs(_UNDER_WAY, limit=1):
        return dg.SkipReason("a refresh is under way")
    return dg.RunRequest()


defs = dg.Definitions(
    assets=[models, best_day],
    jobs=[refresh],
    schedules=[every_minute],
    resources={"dbt": DbtCliResource(project_dir=project, dbt_executable=str(_DBT))},
    executor=dg.in_process_executor,  # DuckDB has one writing process
)
