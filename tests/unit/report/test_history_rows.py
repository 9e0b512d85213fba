from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from elt_env.lockfile.document import Lock
from elt_env.package.target import Target
from elt_env.release.record import Release
from elt_env.report.history_rows import TABLES, History, KeptLock, Role, history_rows
from elt_env.store.evidence import Evidence
from tests.support.commands import REPOSITORY
from tests.support.locks import MOMENT, TARGET, lock_of, pip_package

_OTHER = Target("elt", "3.12", "linux-64")
_SOURCES = Path(REPOSITORY, "dbt_project/models/staging/_sources.yml")


def _lock(version: str, day: int, target: Target = TARGET) -> Lock:
    return lock_of(
        pip_package(version=version), target=target, locked_at=MOMENT + timedelta(days=day)
    )


def _kept(version: str, day: int, role: Role, target: Target = TARGET) -> KeptLock:
    return KeptLock(_lock(version, day, target), role, (_passed("pip_check"), _passed("imports")))


def _passed(check: str) -> Evidence:
    return Evidence(check, "passed", MOMENT, 1.0, "all is well")


def _release(number: int, digest: str, target: Target = TARGET) -> Release:
    at = MOMENT + timedelta(days=number)
    return Release(number, target.name, digest, None, at, "promoted", "it was asked for", "a test")


_LOCKS = (
    _kept("1.0", 0, "past"),
    _kept("2.0", 1, "candidate"),
    _kept("1.1", 2, "previous"),
    _kept("0.9", 3, "current"),
    _kept("5.0", 1, "current", _OTHER),
)
_RELEASES = tuple(_release(each, f"sha256:{each}") for each in range(1, 12))


def _columns() -> dict[str, list[dict[str, Any]]]:
    (source,) = yaml.safe_load(_SOURCES.read_text())["sources"]
    return {table["name"]: table["columns"] for table in source["tables"]}


@given(st.permutations(_LOCKS), st.permutations(_RELEASES))
def test_the_same_history_gives_the_same_rows(
    locks: list[KeptLock], releases: list[Release]
) -> None:
    rows = history_rows(History(tuple(locks), tuple(releases)))
    assert rows == history_rows(History(_LOCKS, _RELEASES))
    numbers = [row["release_number"] for row in rows["releases"]]
    assert numbers == sorted(numbers)


def test_the_rows_have_the_columns_that_dbt_knows() -> None:
    rows = history_rows(History(_LOCKS, _RELEASES))
    assert {table: list(each[0]) for table, each in rows.items()} == {
        table: [column["name"] for column in columns] for table, columns in _columns().items()
    }


def test_every_column_has_a_type_and_a_description() -> None:
    for columns in _columns().values():
        assert all(each["data_type"] and each["description"] for each in columns)


def test_each_lock_is_compared_with_the_one_before_it_of_its_target() -> None:
    rows = history_rows(History(_LOCKS, ()))["lock_changes"]
    seen = [
        (row["target"], row["change"], row["old_version"], row["new_version"])
        for row in rows
        if row["package"] == "alpha"
    ]
    assert seen == [
        ("elt@3.11", "added", None, "1.0"),
        ("elt@3.11", "upgraded", "1.0", "1.1"),
        ("elt@3.11", "downgraded", "1.1", "0.9"),
        ("elt@3.12", "added", None, "5.0"),
    ]


def test_a_candidate_is_a_lock_but_changes_nothing() -> None:
    rows = history_rows(History(_LOCKS, ()))
    candidate = _LOCKS[1].lock.digest
    assert candidate in {row["lock_digest"] for row in rows["locks"]}
    assert candidate not in {row["lock_digest"] for row in rows["lock_changes"]}
    assert candidate not in {row["old_lock_digest"] for row in rows["lock_changes"]}


def test_evidence_stands_with_its_lock() -> None:
    rows = history_rows(History(_LOCKS[:1], ()))["evidence"]
    assert [(row["lock_digest"], row["check_name"]) for row in rows] == [
        (_LOCKS[0].lock.digest, "imports"),
        (_LOCKS[0].lock.digest, "pip_check"),
    ]


def test_a_release_is_one_row() -> None:
    release = replace(_release(3, "sha256:abc"), image="sha256:def", action="rolled back")
    (row,) = history_rows(History((), (release,)))["releases"]
    assert row == {
        "target": "elt@3.11",
        "release_number": 3,
        "lock_digest": "sha256:abc",
        "image_digest": "sha256:def",
        "moved_at": "2026-05-07 03:02:01",
        "action": "rolled back",
        "trigger": "it was asked for",
        "moved_by": "a test",
    }


def test_an_empty_store_has_all_tables_and_no_rows() -> None:
    assert history_rows(History((), ())) == dict.fromkeys(TABLES, ())
