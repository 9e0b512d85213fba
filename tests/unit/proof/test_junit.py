from __future__ import annotations

import pytest

from elt_env.proof import junit

_REPORT = """<?xml version="1.0" encoding="utf-8"?><testsuites><testsuite name="pytest" tests="3">
<testcase classname="test_a" name="test_good" time="0.1"/>
<testcase classname="test_a" name="test_bad" time="0.2"><failure message="assert 1\n == 2">all
of it</failure><error message="and its end"/></testcase>
<testcase classname="" name="test_b" time=""><error message="no collection">x</error></testcase>
<testcase classname="test_a.TestC" name="test_d[x::y]"><skipped message="later"/></testcase>
</testsuite></testsuites>"""


def test_results_are_read_in_order() -> None:
    results = junit.parse(_REPORT)
    assert [(each.name, each.outcome) for each in results] == [
        ("test_a::test_good", "passed"),
        ("test_a::test_bad", "failed"),
        ("test_b", "error"),
        ("test_a.TestC::test_d[x::y]", "skipped"),
    ]
    assert (results[1].message, results[1].text, results[1].seconds) == (
        "assert 1 == 2",
        "all\nof it",
        0.2,
    )
    assert junit.count(results) == "1 error, 1 failed, 1 passed, 1 skipped"


def test_the_table_begins_with_what_is_to_blame() -> None:
    rows = junit.to_table(junit.parse(_REPORT)).rows
    assert [row[0] for row in rows] == ["failed", "error", "skipped", "passed"]


@pytest.mark.parametrize(
    "text", ["", "no xml", "<a>", '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "<a/><!ENTITY"]
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"no XML|document type"):
        junit.parse(text)
