"""Rows that were loaded are counted and compared with those that were extracted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elt_env.errors import ProofError
from elt_env.proof.checks.smoke_meltano import check_loaded
from elt_env.proof.rows import Row, lock_rows
from tests.support.locks import lock_of, pip_package

_LOCK = lock_of(pip_package("alpha"), pip_package("beta"), pip_package("delta"))
_ROWS = tuple(row for row in lock_rows(_LOCK) if row["record"] != "lock_changes")


def _load(path: Path, rows: tuple[Row, ...] | list[Row]) -> Path:
    # As the extractor adds to every row, and as the loader orders keys.
    lines = [
        json.dumps({"_sdc_stream": "lock_rows", **dict(reversed(row.items()))}) for row in rows
    ]
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_the_same_rows_in_another_order_hold(tmp_path: Path) -> None:
    check_loaded(_ROWS, _load(tmp_path / "rows.jsonl", _ROWS[::-1]))


def test_a_lost_row_is_named_with_both_counts(tmp_path: Path) -> None:
    with pytest.raises(ProofError) as caught:
        check_loaded(_ROWS, _load(tmp_path / "rows.jsonl", _ROWS[:-1]))
    assert "extracted 5 rows and loaded 4" in caught.value.problem
    assert "1 lost: packages delta 1.0" in caught.value.problem


def test_a_row_loaded_twice_is_caught(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="extracted 5 rows and loaded 6"):
        check_loaded(_ROWS, _load(tmp_path / "rows.jsonl", [*_ROWS, _ROWS[0]]))


def test_a_row_lost_and_another_twice_is_caught(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="1 lost: packages"):
        check_loaded(_ROWS, _load(tmp_path / "rows.jsonl", [*_ROWS[:-1], _ROWS[0]]))


def test_a_value_that_changed_is_caught(tmp_path: Path) -> None:
    changed = [*_ROWS[:-1], {**_ROWS[-1], "version": "1.00"}]
    with pytest.raises(ProofError, match="not extracted so"):
        check_loaded(_ROWS, _load(tmp_path / "rows.jsonl", changed))


def test_nothing_loaded_is_caught(tmp_path: Path) -> None:
    with pytest.raises(ProofError, match="extracted 5 rows and loaded 0"):
        check_loaded(_ROWS, tmp_path / "rows.jsonl")


def test_a_torn_line_is_caught(tmp_path: Path) -> None:
    path = _load(tmp_path / "rows.jsonl", _ROWS)
    path.write_text(path.read_text()[:-20], encoding="utf-8")
    with pytest.raises(ProofError, match="not JSON"):
        check_loaded(_ROWS, path)
