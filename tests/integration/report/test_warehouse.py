"""The warehouse's file: free or busy, readable or not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from elt_env.errors import BusyError, IntegrityError
from elt_env.report.warehouse import Answer, look, make_way
from tests.support.said import Said

_HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("create table lock_digest as select range as number from range(100000)")
    return path


def test_a_readable_file_stays(path: Path) -> None:
    said = Said()
    make_way(path, said)
    assert said == []
    found = look(path, {"n": "select count(*) as n from lock_digest"})
    assert found == {"n": Answer(("n",), ((100000,),))}


def test_a_directory_is_made(tmp_path: Path) -> None:
    make_way(tmp_path / "home" / "warehouse.duckdb", print)
    assert look(tmp_path / "home" / "warehouse.duckdb", {}) == {}


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04" * 5000, None])
def test_what_duckdb_cannot_open_is_kept_aside(path: Path, content: bytes | None) -> None:
    damaged = path.read_bytes()[:9000] if content is None else content
    path.write_bytes(damaged)
    said = Said()
    make_way(path, said)
    aside = path.with_name("warehouse.duckdb.unreadable")
    assert aside.read_bytes() == damaged
    assert f"It is kept as {aside}" in said[0]
    make_way(path, said)
    assert look(path, {"none": "select 1"}) == {"none": Answer(("1",), ((1,),))}


def test_what_is_not_in_it_is_told_at_once(path: Path) -> None:
    with pytest.raises(IntegrityError, match="lock_number"):
        look(path, {"none": "select lock_number from lock_digest"})


def test_a_file_that_another_program_has_open_is_busy(path: Path) -> None:
    command = [sys.executable, "-c", _HOLD, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"open\n"
            with pytest.raises(BusyError, match=r"has .* open"):
                make_way(path, print, patience=0.1)
            with pytest.raises(BusyError):
                look(path, {}, patience=0.1)
        finally:
            holder.communicate(b"\n")
    make_way(path, print)
