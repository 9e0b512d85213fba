"""What is advised of what tools say, and that nothing is advised without a reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.proof.checks.own.advice import advice

_COPY = Path("/store/1/project/location")


def _advised(text: str, *handed_on: str) -> list[str]:
    return [*advice(text, _COPY, handed_on, "[table]")]


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        ("project_dir /store/1/project/shop_dbt does not exist.", "../shop_dbt"),
        (
            'Cannot open file "/store/1/project/location/./../data/f1.duckdb": No such',
            "../data/f1.duckdb",
        ),
        ("in /store/1/project/location/a.py: no /store/1/project/location2", "../location2"),
    ],
)
def test_what_lies_beside_the_copy_is_told(text: str, beside: str) -> None:
    (told,) = _advised(text)
    assert told.startswith(f"It reads {beside}, which lies outside")
    assert "`directory`" in told


@pytest.mark.parametrize(
    "text",
    [
        "KeyError: 'DUCKDB_PATH'",
        "Env var required but not provided: 'DUCKDB_PATH'",
        'fetch value for environment variable "DUCKDB_PATH" which is not set',
    ],
)
def test_a_variable_that_is_missing_is_told(text: str) -> None:
    (told,) = _advised(text)
    assert 'environment = ["DUCKDB_PATH"] in [table]' in told
    assert not _advised(text, "DUCKDB_PATH")


@pytest.mark.parametrize(
    "text",
    [
        "File /store/1/project/location/models/a.sql is wrong",
        "/store/1/project/location/b/../a.sql, /store/1/project",
        "KeyError: 'orders'",
        "KeyError: 5",
    ],
)
def test_nothing_else_is(text: str) -> None:
    assert not _advised(text)


@given(st.text())
def test_any_text_can_be_read(text: str) -> None:
    assert isinstance(_advised(f"/store/1/project/{text}"), list)
