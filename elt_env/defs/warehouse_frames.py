"""DataFrames and DuckDB: the part of the warehouse that loads pandas."""

from collections.abc import Iterable, Sequence
from typing import Any

import dagster as dg
import pandas as pd
from dagster._core.storage.db_io_manager import TableSlice
from dagster_duckdb_pandas import DuckDBPandasIOManager
from dagster_duckdb_pandas.duckdb_pandas_type_handler import DuckDBPandasTypeHandler
from duckdb import DuckDBPyConnection

from elt_env.proof.rows import Row

_SCHEMA = "dagster/column_schema"
_DTYPES = {"bigint": "Int64", "boolean": "boolean", "double": "Float64", "varchar": "string"}


def data_frame(rows: Iterable[Row], columns: dg.TableSchema) -> pd.DataFrame:
    """Return the rows as a DataFrame of these columns and their types, whatever is empty."""
    names = [each.name for each in columns.columns]
    frame = pd.DataFrame(
        [[row[name] for name in names] for row in rows], columns=names, dtype=object
    )
    for each in columns.columns:
        if each.type == "timestamp":
            frame[each.name] = pd.to_datetime(frame[each.name])
        elif each.type in _DTYPES:
            frame[each.name] = frame[each.name].astype(_DTYPES[each.type])
    return frame


class _TypedTable(DuckDBPandasTypeHandler):
    """Stores a DataFrame as a table whose columns the asset declares.

    DuckDB would guess the type of a column without a value, and an empty DataFrame would leave no
    table at all.
    """

    def handle_output(
        self,
        context: dg.OutputContext,
        table_slice: TableSlice,
        obj: pd.DataFrame,
        connection: DuckDBPyConnection,
    ) -> None:
        """Replace the table with the DataFrame's rows."""
        name = f"{table_slice.schema}.{table_slice.table}"
        columns = context.definition_metadata[_SCHEMA].columns
        typed = ", ".join(f'"{each.name}" {each.type}' for each in columns)
        connection.execute(f"create or replace table {name} ({typed})")
        connection.register("frame", obj)
        connection.execute(f"insert into {name} by name from frame")
        connection.unregister("frame")


class TypedTables(DuckDBPandasIOManager):
    """The IO manager of dagster-duckdb-pandas, for tables of declared types."""

    @staticmethod
    def type_handlers() -> Sequence[Any]:
        """Return what stores a DataFrame."""
        return [_TypedTable()]
