"""Counts the rows of the mart, and reports them to the run that started it."""

import sys
from pathlib import Path

import duckdb
from dagster_pipes import open_dagster_pipes

_MART = Path(__file__).parent / "dbt" / "orders_by_day.parquet"

with open_dagster_pipes() as pipes:
    query = "select count(*), sum(revenue) from read_parquet($1)"
    days, revenue = duckdb.execute(query, [str(_MART)]).fetchall()[0]
    pipes.report_asset_materialization(
        metadata={"days": days, "revenue": float(revenue), "environment": sys.prefix}
    )
