"""A small Dagster project that the Dagster of a prefix loads with `-f`, over the rows of its lock.

pandas reads the rows into DuckDB, dbt builds its project beside them, and pandas reads one of its
marts back: what dagster-dbt and dagster-duckdb-pandas are there for. Where the prefix has only one
of them, the other's part is left out. It is started with

    SMOKE_PARTS     what the prefix has, by spaces: dbt, pandas
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

from dagster import (
    AssetExecutionContext,
    AssetIn,
    AssetKey,
    AssetsDefinition,
    Definitions,
    MaterializeResult,
    MetadataValue,
    asset,
    in_process_executor,
)

_PARTS = os.environ["SMOKE_PARTS"].split()
_SCHEMA = os.environ["ELT_DUCKDB_SCHEMA"]
_TABLES = "tables"  # the key of the IO manager; dbt's assets return nothing to store
_MART = AssetKey("package_freshness")
_PACKAGES = AssetKey([_SCHEMA, "locked_packages"])


def _of_pandas() -> "tuple[list[AssetsDefinition], dict[str, Any]]":
    """Return the assets and resources that dagster-duckdb-pandas is for."""
    import pandas as pd
    from dagster_duckdb_pandas import DuckDBPandasIOManager

    @asset(io_manager_key=_TABLES, key_prefix=[_SCHEMA])
    def locked_packages() -> pd.DataFrame:
        """The packages of the locks, one row each."""
        rows = pd.read_json(os.environ["SMOKE_ROWS"], lines=True)
        packages = rows[rows["record"] == "packages"]
        return packages[["lock_digest", "manager", "package", "version", "sha256"]]

    ins = {"packages": AssetIn(_PACKAGES, input_manager_key=_TABLES)}
    if "dbt" in _PARTS:
        ins["mart"] = AssetIn(_MART, input_manager_key=_TABLES, metadata={"schema": _SCHEMA})

    @asset(ins=ins)
    def report(**frames: pd.DataFrame) -> MaterializeResult:  # type: ignore[type-arg]
        """How many packages of the lock came through pandas, and how many through dbt."""
        digest = os.environ["SMOKE_DIGEST"]
        counts = {
            {"packages": "pandas"}.get(name, name): int((frame["lock_digest"] == digest).sum())
            for name, frame in sorted(frames.items(), reverse=True)
        }
        Path(os.environ["SMOKE_REPORT"]).write_text(json.dumps(counts), encoding="utf-8")
        families = frames["mart"].groupby("family").size() if "mart" in frames else pd.Series()
        return MaterializeResult(
            metadata={
                **counts,
                "families": MetadataValue.json({str(name): int(n) for name, n in families.items()}),
            }
        )

    manager = DuckDBPandasIOManager(database=os.environ["ELT_DUCKDB_PATH"], schema=_SCHEMA)
    return [locked_packages, report], {_TABLES: manager}


def _of_dbt() -> "tuple[list[AssetsDefinition], dict[str, Any]]":
    """Return the assets and resources that dagster-dbt is for."""
    from dagster_dbt import DbtCliResource, dbt_assets

    project = Path(os.environ["SMOKE_DBT"])

    @dbt_assets(manifest=project / "target" / "manifest.json")
    def dbt_models(context: AssetExecutionContext, dbt: DbtCliResource) -> Iterator[Any]:
        """Everything that the dbt project builds, and its data tests as checks of it."""
        # Unit tests have no asset to report on.
        command = ["build", "--exclude-resource-type", "unit_test"]
        yield from dbt.cli(command, context=context).stream()

    tool = DbtCliResource(
        project_dir=os.fspath(project),
        profiles_dir=os.fspath(project),
        dbt_executable=os.environ["SMOKE_DBT_TOOL"],
    )
    return [dbt_models], {"dbt": tool}


def _definitions() -> Definitions:
    made = [{"pandas": _of_pandas, "dbt": _of_dbt}[part]() for part in _PARTS]
    return Definitions(
        assets=[each for assets, _ in made for each in assets],
        executor=in_process_executor,  # DuckDB has one writer, and a process costs seconds
        resources={name: each for _, resources in made for name, each in resources.items()},
    )


defs = _definitions()
