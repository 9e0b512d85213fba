from __future__ import annotations

from pathlib import Path

import dagster as dg

from elt_env.defs.metadata import evidence_metadata
from elt_env.model.evidence import Evidence, Table
from elt_env.tools.store import Store
from tests.support.locks import MOMENT

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


def test_backticks_in_a_log_do_not_end_its_block(tmp_path: Path) -> None:
    evidence = Evidence("imports", "passed", MOMENT, 1.5, "", _LOG)
    shown = evidence_metadata(evidence, _store(tmp_path, "a\n```\nb"))
    assert shown["log_tail"].value == "````\na\n```\nb\n````"
    assert "nodes" not in shown
