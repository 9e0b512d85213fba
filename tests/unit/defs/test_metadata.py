from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import dagster as dg

from elt_env.defs.metadata import evidence_metadata, lock_metadata
from elt_env.lock.diff_report import DiffReport, Waiting, explained
from elt_env.lock.make import Locked
from elt_env.lockfile.changes import compare
from elt_env.lockfile.document import HeldBack
from elt_env.store.evidence import Evidence, Table
from elt_env.store.locks import Store
from tests.support.locks import MOMENT, lock_of, pip_package

_LOG = "logs/12/dbt_smoke.log"


def _store(home: Path, log: str) -> Store:
    (home / _LOG).parent.mkdir(parents=True)
    (home / _LOG).write_text(log, encoding="utf-8")
    return Store(home)


def test_a_check_shows_its_numbers_its_table_and_the_end_of_its_log(tmp_path: Path) -> None:
    log = "\n".join(f"line {number}" for number in range(100))
    table = Table("nodes", ("status", "node"), (("fail", "bad"), ("pass", "good")))
    detail = "test bad: fail: Got 2 results"
    counts = {"loaded_rows": 188}
    evidence = Evidence("dbt_smoke", "failed", MOMENT, 1.5, detail, _LOG, counts, table)

    shown = evidence_metadata(evidence, _store(tmp_path, log))

    assert shown["loaded_rows"] == dg.MetadataValue.int(188)
    assert shown["seconds"] == dg.MetadataValue.float(1.5)
    assert shown["detail"] == dg.MetadataValue.text(detail)
    assert shown["log"] == dg.MetadataValue.path(tmp_path / _LOG)
    nodes = shown["nodes"]
    assert isinstance(nodes, dg.TableMetadataValue)
    assert [each.data for each in nodes.records] == [
        {"status": "fail", "node": "bad"},
        {"status": "pass", "node": "good"},
    ]
    last = str(shown["log_tail"].value).splitlines()
    assert (last[0], last[1], last[-2], last[-1]) == ("```", "line 60", "line 99", "```")


def test_a_log_may_be_gone_or_no_text(tmp_path: Path) -> None:
    evidence = Evidence("imports", "passed", MOMENT, 1.5, "", _LOG)
    store = _store(tmp_path, "")
    (tmp_path / _LOG).write_bytes(b"a\xff\n")
    assert evidence_metadata(evidence, store)["log_tail"].value == "```\na\ufffd\n```"
    (tmp_path / _LOG).unlink()
    assert evidence_metadata(evidence, store)["log_tail"].value == "```\n\n```"


def test_backticks_in_a_log_do_not_end_its_block(tmp_path: Path) -> None:
    evidence = Evidence("imports", "passed", MOMENT, 1.5, "", _LOG)
    shown = evidence_metadata(evidence, _store(tmp_path, "a\n```\nb"))
    assert shown["log_tail"].value == "````\na\n```\nb\n````"
    assert "nodes" not in shown


def test_a_relock_shows_its_changes_as_words_as_json_and_as_numbers(tmp_path: Path) -> None:
    old, new = lock_of(pip_package(version="2.0")), lock_of(pip_package(version="1.0"))
    changes = compare(old, new)
    waiting = Waiting("alpha", "pip", "1.0", "2.1", MOMENT, MOMENT + timedelta(days=3))
    report = DiffReport(
        target="elt@3.11",
        old=old.digest,
        new=new.digest,
        at=MOMENT,
        changes=tuple(explained(each, MOMENT) for each in changes),
        held_back=(waiting,),
    )
    made = Locked(new, str(tmp_path), kept=False, changes=changes, reasons=("why",), report=report)

    shown = lock_metadata(made)

    assert "| **DOWNGRADED** | alpha | 2.0 | 1.0 | **MAJOR** |" in str(shown["changes"].value)
    content = shown["changes_json"].value
    assert isinstance(content, dict)
    assert content["counts"]["downgraded"] == 1
    for name in ("change_count", "downgrades", "majors"):
        assert shown[name] == dg.MetadataValue.int(1)
    held = shown["cooling_down"]
    assert isinstance(held, dg.TableMetadataValue)
    [row] = [each.data for each in held.records]
    assert (row["package"], row["eligible"]) == ("alpha", "2026-05-07T03:02:01+00:00")


def test_what_is_asked_for_and_not_at_its_newest_is_a_table_with_reasons(tmp_path: Path) -> None:
    asked = [
        replace(pip_package(name, "1.0"), requested=True) for name in ("alpha", "beta", "gamma")
    ]
    held = (
        HeldBack("alpha", "1.0", "2.0", "beta 1.0 needs alpha <2"),
        HeldBack("gamma", "1.0", "3.0"),
    )
    lock = lock_of(*asked, pip_package("deep", "1.0"), held_back=held)
    waiting = tuple(
        Waiting(each, "pip", "1.0", "1.1", MOMENT, MOMENT + timedelta(days=3))
        for each in ("beta", "deep")
    )
    report = DiffReport("elt@3.11", None, lock.digest, MOMENT, (), held_back=waiting)
    shown = lock_metadata(Locked(lock, str(tmp_path), kept=False, report=report))["not_newest"]
    assert isinstance(shown, dg.TableMetadataValue)
    assert [tuple(each.data.values()) for each in shown.records] == [
        ("alpha", "1.0", "2.0", "beta 1.0 needs alpha <2"),
        ("beta", "1.0", "1.1", "cool-down until 2026-05-07"),
        ("gamma", "1.0", "3.0", "see: elt-env why-not elt@3.11 'gamma>=3.0'"),
    ]


def test_a_lock_that_was_kept_shows_no_changes(tmp_path: Path) -> None:
    shown = lock_metadata(Locked(lock_of(), str(tmp_path), kept=True, reasons=("it satisfies",)))
    assert shown["changes"] == dg.MetadataValue.md("Kept.")
    assert shown["change_count"] == dg.MetadataValue.int(0)
    assert "changes_json" not in shown
