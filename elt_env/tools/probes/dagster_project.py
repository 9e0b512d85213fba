"""A small Dagster project that the Dagster of a prefix loads with `-f`, over the rows of its lock.

pandas reads the rows into DuckDB, dbt builds its project beside them, and pandas reads one of its
marts back: what dagster-dbt and dagster-duckdb-pandas are there for. It is started with

    SMOKE_ROWS      the rows, as JSON lines
    SMOKE_DBT       the dbt project's directory, with its manifest in target/
    SMOKE_DBT_TOOL  the dbt to run; without it, Dagster takes the first one on PATH
    SMOKE_REPORT    where the numbers of rows go, as JSON

and with the variables that the dbt project reads.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from dagster import (
    AssetExecutionContext,
    AssetIn,
    AssetKey,
    Definitions,
    MaterializeResult,
    MetadataValue,
    asset,
    in_process_executor,
)
from dagster_dbt import DbtCliResource, dbt_assets
from dagster_duckdb_pandas import DuckDBPandasIOManager

_SCHEMA = os.environ["ELT_DUCKDB_SCHEMA"]
_PROJECT = Path(os.environ["SMOKE_DBT"])
_TABLES = "tables"  # the key of the IO manager; dbt's assets return nothing to store
_MART = AssetKey("package_freshness")


@asset(io_manager_key=_TABLES, key_prefix=[_SCHEMA])
def locked_packages() -> pd.DataFrame:
    """The packages of the locks, one row each."""
    rows = pd.read_json(os.environ["SMOKE_ROWS"], lines=True)
    packages = rows[rows["record"] == "packages"]
    return packages[["lock_digest", "manager", "package", "version", "sha256"]]


@dbt_assets(manifest=_PROJECT / "target" / "manifest.json")
def dbt_models(context: AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
    """Everything that the dbt project builds, and its data tests as checks of it."""
    # Unit tests have no asset to report on.
    command = ["build", "--exclude-resource-type", "unit_test"]
    yield from dbt.cli(command, context=context).stream()


@asset(
    ins={
        "mart": AssetIn(_MART, input_manager_key=_TABLES, metadata={"schema": _SCHEMA}),
        "packages": AssetIn(AssetKey([_SCHEMA, "locked_packages"]), input_manager_key=_TABLES),
    }
)
def report(mart: pd.DataFrame, packages: pd.DataFrame) -> MaterializeResult:  # type: ignore[type-arg]
    """How many packages of the lock came through pandas, and how many through dbt."""
    digest = os.environ["SMOKE_DIGEST"]
    counts = {
        "pandas": int((packages["lock_digest"] == digest).sum()),
        "mart": int((mart["lock_digest"] == digest).sum()),
    }
    Path(os.environ["SMOKE_REPORT"]).write_text(json.dumps(counts), encoding="utf-8")
    families = mart.groupby("family").size().sort_values(ascending=False)
    return MaterializeResult(
        metadata={
            **counts,
            "families": MetadataValue.json({str(name): int(n) for name, n in families.items()}),
        }
    )


defs = Definitions(
    assets=[locked_packages, dbt_models, report],
    executor=in_process_executor,  # DuckDB has one writer at a time, and a process costs seconds
    resources={
        _TABLES: DuckDBPandasIOManager(database=os.environ["ELT_DUCKDB_PATH"], schema=_SCHEMA),
        "dbt": DbtCliResource(
            project_dir=os.fspath(_PROJECT),
            profiles_dir=os.fspath(_PROJECT),
            dbt_executable=os.environ["SMOKE_DBT_TOOL"],
        ),
    },
)
