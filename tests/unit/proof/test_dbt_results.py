from __future__ import annotations

import json

import pytest

from elt_env.proof.dbt_results import NodeResult, count, parse, to_markdown, to_table


def _text(*results: tuple[str, str, str | None]) -> str:
    nodes = [
        {"unique_id": node, "status": status, "execution_time": 0.125, "message": message}
        for node, status, message in results
    ]
    return json.dumps({"metadata": {}, "results": nodes})


def test_every_node_is_read_in_order() -> None:
    found = parse(_text(("model.p.one", "success", "OK"), ("test.p.two.1a2b", "pass", None)))
    assert found == (
        NodeResult("model.p.one", "success", 0.125, "OK"),
        NodeResult("test.p.two.1a2b", "pass", 0.125, ""),
    )


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"results": [{}]}', '{"results": null}'])
def test_what_dbt_did_not_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


@pytest.mark.parametrize(
    ("status", "is_good", "is_fault"),
    [
        ("success", True, False),
        ("pass", True, False),
        ("no-op", True, False),
        ("warn", False, False),
        ("skipped", False, False),
        ("fail", False, True),
        ("error", False, True),
        ("runtime error", False, True),
        ("a word that dbt has yet to invent", False, True),
    ],
)
def test_only_known_words_are_good(status: str, *, is_good: bool, is_fault: bool) -> None:
    node = NodeResult("test.p.t", status, 0.0)
    assert (node.is_good, node.is_fault) == (is_good, is_fault)


def test_a_name_is_kind_and_name() -> None:
    assert NodeResult("unit_test.p.model.case", "pass", 0.0).name == "unit_test model.case"


def test_the_table_begins_with_what_is_to_blame_in_one_line_each() -> None:
    found = parse(
        _text(("model.p.good", "success", "OK"), ("test.p.bad", "fail", "Got 2 results\n a | b"))
    )
    rows = to_markdown(found).splitlines()
    assert rows[2] == "| test bad | fail | 0.12 | Got 2 results a \\| b |"
    assert rows[3].startswith("| model good |")
    assert len(rows) == 4
    table = to_table(found)
    assert table.columns == ("status", "message", "node", "type", "seconds")
    assert table.rows == (
        ("fail", "Got 2 results a | b", "bad", "test", 0.125),
        ("success", "OK", "good", "model", 0.125),
    )


def test_the_table_of_a_large_project_stays_small_and_keeps_the_culprit() -> None:
    good = [(f"model.p.m{number}", "success", "OK") for number in range(600)]
    table = to_table(parse(_text(*good, ("test.p.bad", "fail", "x" * 9000))))
    assert len(table.rows) == 500
    assert table.rows[0] == ("fail", "x" * 499 + "…", "bad", "test", 0.125)


def test_the_count_names_every_status() -> None:
    found = parse(_text(("a.p.x", "pass", ""), ("a.p.y", "error", ""), ("a.p.z", "pass", "")))
    assert count(found) == "1 error, 2 pass"
