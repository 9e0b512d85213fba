"""A store with many releases, and the warehouse that it is loaded into."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import dagster as dg
import duckdb
import yaml

from elt_env.defs.warehouse_frames import change_table
from elt_env.defs.warehouse_tables import shape
from elt_env.environment.prefix import Prefix
from elt_env.lockfile.document import Lock
from elt_env.machine.process import unheard
from elt_env.release.store import ReleaseStore
from elt_env.report.history import read_changes
from elt_env.report.warehouse import FILE_NAME, PROJECT, RAW, read_loaded
from elt_env.store.locks import Store

_LOCKS = 200
_SOURCES = f"{PROJECT}/models/staging/_sources.yml"


class Warehouse:
    """The raw tables of a project's warehouse.

    Args:
        project: whose store has the history.
        described: the project whose dbt project says which columns there are.
        like: a lock of which the store gets others, with a package of another hash.
    """

    def __init__(self, project: Path, described: Path, like: Lock) -> None:
        self._home = project / ".elt_env"
        self._path = self._home / FILE_NAME
        (source,) = yaml.safe_load((described / _SOURCES).read_text(encoding="utf-8"))["sources"]
        self._columns = {
            table["name"]: dg.TableSchema(
                [dg.TableColumn(each["name"], each["data_type"]) for each in table["columns"]]
            )
            for table in source["tables"]
        }

        *others, last = like.packages
        for number in range(_LOCKS):
            other = replace(last, sha256=f"{number:064x}")
            Store(self._home).write_lock(replace(like, packages=(*others, other)))

    def forget(self) -> None:
        """Remove all that is loaded."""
        self._path.unlink(missing_ok=True)

    def load(self, _place: Path) -> int:
        """Load what is new."""
        shapes = {table: shape(columns) for table, columns in self._columns.items()}
        loaded = read_loaded(self._path, shapes)
        changes = read_changes(Store(self._home), loaded, unheard)
        with duckdb.connect(self._path) as connection:
            connection.execute(f"create schema if not exists {RAW}")
            for table, change in changes.items():
                change_table(connection, table, self._columns[table], change)
        return 0

    def release(self, prefix: Prefix) -> None:
        """Release what is released once more."""
        releases = ReleaseStore(Store(self._home))
        newest = releases.current(prefix.lock.target.name)
        if newest:
            release = replace(newest, number=newest.number + 1)
            releases.prepare(release, prefix.path)
            releases.switch(release)
