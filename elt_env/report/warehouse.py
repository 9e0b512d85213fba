"""The warehouse's file: a DuckDB database that is made from the store, and can be made again."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from elt_env.errors import BusyError, IntegrityError
from elt_env.machine.process import Say
from elt_env.report.history_rows import Loaded, Mark
from elt_env.runtime.files import writing

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

FILE_NAME = "warehouse.duckdb"
PROJECT = "dbt_project"
"""The directory of the dbt project that builds the marts."""

RAW = "raw"
"""The schema of the tables that are loaded from the store."""

MARTS = "marts"
"""The schema of what dbt builds of them."""

MARKS = "loaded.marks"
"""The table of what the rows of each table were loaded from."""

_PATIENCE = 60.0  # seconds
_PAUSE = 0.5  # seconds
_LOCKED = "Could not set lock on file"


def variables(path: Path) -> dict[str, object]:
    """Return what the dbt project is to be told to build its marts in that file."""
    return {"from_tables": True, "duckdb_path": str(path), "duckdb_schema": MARTS}


@dataclass(frozen=True)
class Answer:
    """What a query gave: the names of its columns, and its rows."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]


def make_way(path: Path, say: Say, patience: float = _PATIENCE) -> None:
    """Return when DuckDB can open the file; one that is no database it can read is moved aside.

    Raises:
        BusyError: another program still has it open after `patience` seconds.
        StorageError: the directory is not writable.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    try:
        _connect(path, patience, read_only=False).close()
    except IntegrityError as error:
        aside = path.with_name(f"{path.name}.unreadable")
        with writing(path):
            path.replace(aside)
            path.with_name(f"{path.name}.wal").unlink(missing_ok=True)
        say(f"warehouse: {error.problem} It is kept as {aside}, and made anew.")


def look(path: Path, queries: Mapping[str, str], patience: float = _PATIENCE) -> dict[str, Answer]:
    """Return what each query gives, by the query's name.

    Raises:
        BusyError: another program still has the file open after `patience` seconds.
        IntegrityError: the file or what a query names cannot be read.
    """
    import duckdb

    with _connect(path, patience, read_only=True) as connection:
        try:
            return {name: _answer(connection, query) for name, query in queries.items()}
        except duckdb.Error as error:
            raise _unreadable(path, error) from error


def read_loaded(path: Path, shapes: Mapping[str, str]) -> Loaded:
    """Return what the file has of the history, of those tables whose columns are still the same.

    Args:
        path: of the file.
        shapes: by table what tells its columns from others.

    Raises: as `look`.
    """
    if not path.exists():
        return {}
    query = "select schema_name || '.' || table_name from duckdb_tables()"
    there = {name for (name,) in look(path, {"tables": query})["tables"].rows}
    found: dict[str, dict[str, Mark]] = {}
    marks = look(path, {"marks": f"from {MARKS}"})["marks"].rows if MARKS in there else ()
    for table, *row in marks:
        key, tag, about = map(str, row)
        found.setdefault(str(table), {})[key] = Mark(tag, about)
    return {
        table: {key: mark for key, mark in every.items() if key}
        for table, every in found.items()
        if f"{RAW}.{table}" in there and every.get("") == Mark(shapes.get(table, ""))
    }


def _answer(connection: DuckDBPyConnection, query: str) -> Answer:
    result = connection.execute(query)
    columns = tuple(each[0] for each in result.description or ())
    return Answer(columns, tuple(tuple(row) for row in result.fetchall()))


def _connect(path: Path, patience: float, *, read_only: bool) -> DuckDBPyConnection:
    """Return a connection, once no other process has one that excludes it."""
    import duckdb  # slow to load

    deadline = time.monotonic() + patience
    while True:
        try:
            return duckdb.connect(path, read_only=read_only)
        except duckdb.Error as error:
            if _LOCKED not in str(error):
                raise _unreadable(path, error) from error
            if time.monotonic() > deadline:
                raise BusyError(
                    f"Another program has {path} open: {_first_line(error)}",
                    "Close it, and run this again.",
                ) from error
            time.sleep(_PAUSE)


def _unreadable(path: Path, error: Exception) -> IntegrityError:
    return IntegrityError(
        f"{path} cannot be read: {_first_line(error)}", "Run the job warehouse_refresh."
    )


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
