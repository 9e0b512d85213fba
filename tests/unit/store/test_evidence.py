from __future__ import annotations

import json
from typing import get_args

import pytest
from pydantic import TypeAdapter

from elt_env.store.evidence import Evidence, Status, Table
from tests.support.locks import MOMENT


@pytest.mark.parametrize("status", get_args(Status))
def test_only_what_ran_and_did_not_fail_holds(status: Status) -> None:
    evidence = Evidence("pip_check", status, MOMENT, 0.1, "")
    assert evidence.holds == (status in ("passed", "warned"))


def test_a_record_keeps_numbers_and_table() -> None:
    table = Table("nodes", ("node", "seconds", "tries"), (("bad", 2.0, 1), ("1.5", 0.25, 2)))
    evidence = Evidence("dbt_smoke", "failed", MOMENT, 0.1, "", "", {"nodes": 2}, table)
    format_ = TypeAdapter(Evidence)
    read = format_.validate_json(format_.dump_json(evidence))
    assert read == evidence
    assert [[type(cell) for cell in row] for row in (read.table or table).rows] == [
        [str, float, int]
    ] * 2


def test_a_record_from_before_there_were_numbers_is_read() -> None:
    old = {"check": "imports", "status": "passed", "at": MOMENT.isoformat(), "seconds": 1.5}
    text = json.dumps(old | {"detail": "9 modules import", "log": "logs/1/imports.log"})
    evidence = TypeAdapter(Evidence).validate_json(text)
    assert evidence.holds
    assert (evidence.counts, evidence.table) == ({}, None)
