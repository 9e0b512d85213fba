from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given

from elt_env.lockfile.document import Lock
from elt_env.proof.rows import Row, lock_rows, to_json_lines
from elt_env.store.evidence import Evidence
from tests.support.locks import CHANNEL, INDEX, MOMENT, conda_package, lock_of, locks, pip_package

_EAST = timezone(timedelta(hours=2))


def _of(record: str, rows: tuple[Row, ...]) -> list[Row]:
    return [row for row in rows if row["record"] == record]


def _checked(name: str) -> Evidence:
    return Evidence(name, "passed", MOMENT, 1.25, "all is well", "logs/x.log")


@given(locks(), locks())
def test_every_package_of_both_locks_is_one_row(lock: Lock, previous: Lock) -> None:
    rows = _of("packages", lock_rows(lock, previous))
    for each in {lock.digest: lock, previous.digest: previous}.values():
        mine = [row for row in rows if row["lock_digest"] == each.digest]
        times = 2 if lock.digest == previous.digest else 1
        assert len(mine) == times * len(each.packages)
        keys = {(row["manager"], row["package"]) for row in mine}
        assert keys == {(package.manager, package.name) for package in each.packages}


@given(locks())
def test_rows_survive_json(lock: Lock) -> None:
    rows = lock_rows(lock, None, [_checked("imports")])
    lines = to_json_lines(rows).splitlines()
    assert [json.loads(line) for line in lines] == list(rows)


@given(locks())
def test_equal_locks_give_equal_rows(lock: Lock) -> None:
    shuffled = replace(lock, packages=tuple(reversed(lock.packages)))
    evidence = [_checked("imports"), _checked("abi")]
    there, back = lock_rows(lock, None, evidence), lock_rows(shuffled, None, evidence[::-1])
    assert to_json_lines(there) == to_json_lines(back)


@given(locks())
def test_every_record_has_the_same_columns(lock: Lock) -> None:
    for record in ("locks", "packages", "lock_changes", "evidence"):
        rows = _of(record, lock_rows(lock, lock, [_checked("a"), _checked("b")]))
        assert len({tuple(row) for row in rows}) <= 1  # two equal locks differ in nothing


def test_a_lock_says_how_many_packages_it_has() -> None:
    lock = lock_of(pip_package(), conda_package())
    (row,) = _of("locks", lock_rows(lock))
    assert row["package_count"] == 3
    assert row["role"] == "current"
    assert row["target"] == "elt@3.11"
    assert row["lock_digest"] == lock.digest


def test_the_lock_before_is_the_previous_one() -> None:
    new, old = lock_of(pip_package(version="2.0")), lock_of(pip_package(version="1.0"))
    rows = _of("locks", lock_rows(new, old))
    assert [(row["role"], row["lock_digest"]) for row in rows] == [
        ("current", new.digest),
        ("previous", old.digest),
    ]


@pytest.mark.parametrize(
    ("package", "source"), [(pip_package(), INDEX), (conda_package(), f"{CHANNEL}")]
)
def test_the_source_is_the_index_or_the_channel(package: object, source: str) -> None:
    rows = _of("packages", lock_rows(lock_of(package)))  # type: ignore[arg-type]
    assert source in {row["source"] for row in rows if row["package"] != "python"}


def test_moments_are_utc_without_an_offset() -> None:
    moment = datetime(2026, 1, 1, 1, 30, 5, 999, tzinfo=_EAST)
    lock = lock_of(pip_package(released_at=moment), pip_package("undated", released_at=None))
    released = {row["package"]: row["released_at"] for row in _of("packages", lock_rows(lock))}
    assert released["alpha"] == "2025-12-31 23:30:05"
    assert released["undated"] is None


def test_what_changed_is_one_row_a_package() -> None:
    new = lock_of(pip_package(version="2.0"), pip_package("beta"))
    old = lock_of(pip_package(version="1.0"), pip_package("delta"))
    rows = _of("lock_changes", lock_rows(new, old))
    assert [(row["package"], row["change"]) for row in rows] == [
        ("alpha", "upgraded"),
        ("beta", "added"),
        ("delta", "removed"),
    ]
    assert (rows[0]["old_version"], rows[0]["new_version"]) == ("1.0", "2.0")
    assert {(row["lock_digest"], row["old_lock_digest"]) for row in rows} == {
        (new.digest, old.digest)
    }


def test_a_first_lock_adds_everything() -> None:
    rows = _of("lock_changes", lock_rows(lock_of(pip_package(), conda_package())))
    assert {row["change"] for row in rows} == {"added"}
    assert len(rows) == 3


def test_evidence_belongs_to_the_current_lock_and_is_sorted() -> None:
    lock, old = lock_of(pip_package()), lock_of()
    rows = _of("evidence", lock_rows(lock, old, [_checked("pip_check"), _checked("imports")]))
    assert [row["check_name"] for row in rows] == ["imports", "pip_check"]
    assert {row["lock_digest"] for row in rows} == {lock.digest}
    assert rows[0]["seconds"] == 1.25
    assert rows[0]["status"] == "passed"


def test_a_lock_without_evidence_has_no_such_rows() -> None:
    assert _of("evidence", lock_rows(lock_of())) == []
