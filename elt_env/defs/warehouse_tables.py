"""The tables of the warehouse: what is in them, how they are stored and shown."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg
from pydantic import Field

from elt_env.package.canonical import digest_of, short
from elt_env.report.warehouse import MARTS, RAW, Answer

GROUP = "warehouse"
IO_MANAGER = "warehouse"
"""The key of the IO manager. It is not Dagster's default: other steps return what is no table."""

SHOWN_ROWS = 10
_WIDEST = 80
_NUMBERS: Mapping[str, Mapping[str, str]] = {
    "package_freshness": {
        "fresh_packages": "count(*) filter (where staleness = 'fresh')",
        "ageing_packages": "count(*) filter (where staleness = 'ageing')",
        "stale_packages": "count(*) filter (where staleness = 'stale')",
        "oldest_age_days": "max(age_days)",
        "median_age_days": "median(age_days)",
    },
    "lock_changes": {"downgrades": "count(*) filter (where change = 'downgraded')"},
    "lock_changes_over_time": {
        "latest_changes": "arg_max(changes, locked_at)",
        "median_changes": "median(changes)",
        "median_hours_between": "median(hours_since_last)",
    },
    "environment_health": {
        "released": "count(*) filter (where is_released)",
        "checks_passed": "sum(checks_passed)",
        "checks_failed": "sum(checks_failed)",
        "checks_not_run": "sum(checks_not_run)",
        "share_over_a_year": "max(share_over_a_year)",
    },
    "time_to_promote": {
        "latest_hours_from_lock": "arg_max(hours_from_lock, promoted_at)",
        "median_hours_from_lock": "median(hours_from_lock)",
    },
}
"""What is plotted of a mart, beside its number of rows, as SQL over it."""


def raw_key(table: str) -> dg.AssetKey:
    """Return the key of a table that is loaded from the store."""
    return dg.AssetKey([GROUP, RAW, table])


def mart_key(model: str) -> dg.AssetKey:
    """Return the key of what dbt builds."""
    return dg.AssetKey([GROUP, model])


@dataclass(frozen=True)
class RawTable:
    """A table that is loaded, as the dbt project describes it."""

    description: str
    columns: dg.TableSchema


def raw_schemas(manifest: Mapping[str, Any]) -> dict[str, RawTable]:
    """Return the tables that the dbt project's sources name, by name."""
    return {
        source["name"]: RawTable(
            source["description"],
            dg.TableSchema(
                [
                    dg.TableColumn(each["name"], each["data_type"], each["description"])
                    for each in source["columns"].values()
                ]
            ),
        )
        for source in manifest["sources"].values()
    }


def shape(columns: dg.TableSchema) -> str:
    """Return what tells the columns of a table from others."""
    return short(digest_of([[each.name, each.type] for each in columns.columns]))


class Tables(dg.ConfigurableIOManagerFactory[dg.IOManager]):
    """Stores DataFrames in the DuckDB file; what that takes is loaded when it is needed.

    Attributes:
        database: path of the file.
        connection_config: settings of DuckDB.
    """

    database: str
    connection_config: dict[str, Any] = Field(default={})

    def create_io_manager(self, context: dg.InitResourceContext) -> dg.IOManager:
        """Return the IO manager of dagster-duckdb-pandas, which changes what is to be changed."""
        from elt_env.defs.warehouse_frames import ChangedTables

        manager = ChangedTables(database=self.database, schema=RAW)
        return manager.create_io_manager(context)


def markdown_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> dg.MetadataValue:
    """Return the first rows as a table that the web UI shows."""
    shown = [[_cell(each) for each in row] for row, _ in zip(rows, range(SHOWN_ROWS), strict=False)]
    lines = [list(columns), ["---"] * len(columns), *shown]
    return dg.MetadataValue.md("\n".join(f"| {' | '.join(line)} |" for line in lines))


def mart_queries(model: str) -> dict[str, str]:
    """Return what to ask the warehouse about what dbt built."""
    table = f"{MARTS}.{model}"
    numbers = {"dagster/row_count": "count(*)", **_NUMBERS.get(model, {})}
    listed = ", ".join(f'{sql} as "{name}"' for name, sql in numbers.items())
    return {
        f"{model} numbers": f"select {listed} from {table}",  # noqa: S608  # names of this module
        f"{model} preview": f"from {table} order by all limit {SHOWN_ROWS}",
    }


def mart_metadata(model: str, answers: Mapping[str, Answer]) -> dict[str, Any]:
    """Return what to show of it: numbers, which the web UI plots, and the first rows."""
    numbers, first = answers[f"{model} numbers"], answers[f"{model} preview"]
    found = dict(zip(numbers.columns, numbers.rows[0], strict=True))
    plotted = {
        name: int(value) if isinstance(value, int) else float(str(value))
        for name, value in found.items()
        if value is not None
    }
    return {**plotted, "preview": markdown_table(first.columns, first.rows)}


def _cell(value: object) -> str:
    shown = "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)
    text = " ".join(shown.split()).replace("|", "\\|")
    return text if len(text) <= _WIDEST else text[: _WIDEST - 1] + "…"
