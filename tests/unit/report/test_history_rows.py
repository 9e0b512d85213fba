from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from elt_env.lockfile.document import Lock
from elt_env.package.target import Target
from elt_env.proof.rows import Row
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.report.history import read_changes
from elt_env.report.history_rows import TABLES, kept_lock, lock_about, release_row
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store
from tests.support.commands import REPOSITORY
from tests.support.locks import MOMENT, TARGET, lock_of, pip_package
from tests.support.releases import fake_prefix

_OTHER = Target("elt", "3.12", "linux-64")
_SOURCES = Path(REPOSITORY, "dbt_project/models/staging/_sources.yml")


def _lock(version: str, day: int, target: Target = TARGET) -> Lock:
    return lock_of(
        pip_package(version=version), target=target, locked_at=MOMENT + timedelta(days=day)
    )


def _release(number: int, digest: str, target: Target = TARGET) -> Release:
    at = MOMENT + timedelta(days=number)
    return Release(number, target.name, digest, None, at, "promoted", "it was asked for", "a test")


_FIRST, _CANDIDATE, _SECOND, _THIRD = (
    _lock("1.0", 0),
    _lock("2.0", 1),
    _lock("1.1", 2),
    _lock("0.9", 3),
)
_ELSEWHERE = _lock("5.0", 1, _OTHER)
_LOCKS = (_THIRD, _ELSEWHERE, _CANDIDATE, _SECOND, _FIRST)


def _rows(home: Path, locks: Iterable[Lock] = _LOCKS) -> dict[str, Sequence[Row]]:
    """Return the rows of a history in which one of these locks is a candidate."""
    store = Store(home)
    for each in locks:
        store.write_lock(each)
        if each != _CANDIDATE:
            for check in ("pip_check", "imports"):
                store.record(each.digest, Evidence(check, "passed", MOMENT, 1.0, "all is well"))
    for each in (_FIRST, _SECOND, _THIRD, _ELSEWHERE):
        store.set_current(each.target, each.digest, each.locked_at)
    releases, prefix = ReleaseStore(store), fake_prefix(home / "prefix", "tool")
    for number in range(1, 12):
        release = _release(number, _FIRST.digest)
        releases.prepare(release, prefix)
        releases.switch(release)
    return {table: each.rows for table, each in read_changes(store, {}, print).items()}


def _columns() -> dict[str, list[dict[str, Any]]]:
    (source,) = yaml.safe_load(_SOURCES.read_text())["sources"]
    return {table["name"]: table["columns"] for table in source["tables"]}


def test_the_rows_have_the_columns_that_dbt_knows(tmp_path: Path) -> None:
    assert {table: list(each[0]) for table, each in _rows(tmp_path).items()} == {
        table: [column["name"] for column in columns] for table, columns in _columns().items()
    }


def test_every_column_has_a_type_and_a_description() -> None:
    for columns in _columns().values():
        assert all(each["data_type"] and each["description"] for each in columns)


def test_each_lock_is_compared_with_the_one_before_it_of_its_target(tmp_path: Path) -> None:
    seen = {
        (row["target"], row["change"], row["old_version"], row["new_version"])
        for row in _rows(tmp_path)["lock_changes"]
        if row["package"] == "alpha"
    }
    assert seen == {
        ("elt@3.11", "added", None, "1.0"),
        ("elt@3.11", "upgraded", "1.0", "1.1"),
        ("elt@3.11", "downgraded", "1.1", "0.9"),
        ("elt@3.12", "added", None, "5.0"),
    }


def test_a_candidate_is_a_lock_but_changes_nothing(tmp_path: Path) -> None:
    rows = _rows(tmp_path)
    roles = {row["lock_digest"]: row["role"] for row in rows["locks"]}
    assert roles[_CANDIDATE.digest] == "candidate"
    assert (roles[_FIRST.digest], roles[_SECOND.digest]) == ("past", "previous")
    assert _CANDIDATE.digest not in {row["lock_digest"] for row in rows["lock_changes"]}
    assert _CANDIDATE.digest not in {row["old_lock_digest"] for row in rows["lock_changes"]}


def test_evidence_stands_with_its_lock(tmp_path: Path) -> None:
    rows = [row for row in _rows(tmp_path)["evidence"] if row["lock_digest"] == _FIRST.digest]
    assert [row["check_name"] for row in rows] == ["imports", "pip_check"]


def test_a_release_is_one_row(tmp_path: Path) -> None:
    rows = _rows(tmp_path)["releases"]
    assert [row["release_number"] for row in rows] == list(range(1, 12))
    release = replace(_release(3, "sha256:abc"), image="sha256:def", action="rolled back")
    assert release_row(release) == {
        "record": "releases",
        "target": "elt@3.11",
        "release_number": 3,
        "lock_digest": "sha256:abc",
        "image_digest": "sha256:def",
        "moved_at": "2026-05-07 03:02:01",
        "action": "rolled back",
        "trigger": "it was asked for",
        "moved_by": "a test",
    }


def test_what_orders_a_lock_comes_back_from_its_text() -> None:
    kept = kept_lock(_ELSEWHERE)
    assert lock_about(kept.about, kept.digest) == kept


def test_an_empty_store_has_all_tables_and_no_rows(tmp_path: Path) -> None:
    found = read_changes(Store(tmp_path), {}, print)
    assert {name: (each.anew, each.rows) for name, each in found.items()} == dict.fromkeys(
        TABLES, (True, ())
    )
