"""DataFrames and DuckDB: the part of the warehouse that loads pandas."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import pandas as pd
from dagster._core.storage.db_io_manager import DbIOManager, TableSlice
from dagster_duckdb.io_manager import DuckDbClient
from dagster_duckdb_pandas import DuckDBPandasIOManager
from dagster_duckdb_pandas.duckdb_pandas_type_handler import DuckDBPandasTypeHandler
from duckdb import DuckDBPyConnection

from elt_env.defs.warehouse_tables import SHOWN_ROWS, markdown_table, shape
from elt_env.proof.rows import Row
from elt_env.report.history_rows import KEYS, Change, Mark
from elt_env.report.warehouse import MARKS, RAW

_NOTED = ("of_table", "key", "tag", "about")
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


def change_table(
    connection: DuckDBPyConnection, table: str, columns: dg.TableSchema, change: Change
) -> None:
    """Give a table of the declared columns the rows that it lacks, and note what these are of.

    All of it is done, or nothing. DuckDB would guess the type of a column without a value, and an
    empty DataFrame would leave no table at all.
    """
    gone = pd.DataFrame({"key": pd.Series(change.gone, dtype="string")})
    noted = {"": Mark(shape(columns))} if change.anew else {}
    marks = [[table, key, *mark] for key, mark in (noted | dict(change.marks)).items()]
    connection.register("gone", gone)
    connection.register("marks", pd.DataFrame(marks, columns=_NOTED, dtype="string"))
    connection.register("new", data_frame(change.rows, columns))
    connection.begin()
    for statement in _statements(table, columns, anew=change.anew):
        connection.execute(statement)
    connection.commit()


def _statements(table: str, columns: dg.TableSchema, *, anew: bool) -> list[str]:
    """Return what changes a table, and what is noted of it."""
    name, noted = f"{RAW}.{table}", ", ".join(f"{each} varchar" for each in _NOTED)
    typed = ", ".join(f'"{each.name}" {each.type}' for each in columns.columns)
    also = "" if anew else "and key in (from gone)"
    return [
        f"create schema if not exists {MARKS.partition('.')[0]}",
        f"create table if not exists {MARKS} ({noted})",
        f"create {'or replace table' if anew else 'table if not exists'} {name} ({typed})",
        f"delete from {name} where {KEYS[table]} in (from gone)",  # noqa: S608  # names of this module
        f"delete from {MARKS} where of_table = '{table}' {also}",  # noqa: S608
        f"insert into {name} by name from new",
        f"insert into {MARKS} from marks",
    ]


class _Changes(DuckDBPandasTypeHandler):
    """Changes a table, and loads it as a DataFrame."""

    def handle_output(
        self,
        context: dg.OutputContext,
        table_slice: TableSlice,
        obj: Change,
        connection: DuckDBPyConnection,
    ) -> Mapping[str, Any]:
        """Change a table; return what to show of it."""
        columns = context.definition_metadata[_SCHEMA]
        change_table(connection, table_slice.table, columns, obj)
        table = f"{RAW}.{table_slice.table}"
        (count,) = connection.table(table).shape[:1]
        first = connection.table(table).limit(SHOWN_ROWS).fetchall()
        return {
            "dagster/row_count": count,
            "rows_loaded": len(obj.rows),
            "preview": markdown_table([each.name for each in columns.columns], first),
        }

    @property
    def supported_types(self) -> Sequence[type]:
        """What it stores, and what it loads."""
        return [Change, pd.DataFrame]


class _KeepsRows(DuckDbClient):
    """Leaves a table as it is before it is changed."""

    @staticmethod
    def delete_table_slice(*_: object) -> None:
        """Delete nothing."""


class ChangedTables(DuckDBPandasIOManager):
    """The IO manager of dagster-duckdb-pandas, for tables that are changed."""

    def create_io_manager(self, context: dg.InitResourceContext) -> DbIOManager:
        """Return it."""
        del context
        return DbIOManager(
            db_client=_KeepsRows(),
            database=self.database,
            schema=self.schema_,
            type_handlers=[_Changes()],
            default_load_type=pd.DataFrame,
            io_manager_name=type(self).__name__,
        )
