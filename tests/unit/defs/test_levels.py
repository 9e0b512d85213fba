"""What the steps say, at the levels of Dagster's log."""

from __future__ import annotations

import logging

import pytest

from elt_env.defs.levels import leveled


@pytest.mark.parametrize(
    ("line", "level", "message"),
    [
        ("uv: Resolved 172 packages in 2 s", logging.INFO, "uv: Resolved 172 packages in 2 s"),
        ("WARNING: the index is slow", logging.WARNING, "the index is slow"),
        (" + dagster==1.13.27", logging.DEBUG, " + dagster==1.13.27"),
        ("image: dbt: 1 of 84 OK", logging.DEBUG, "image: dbt: 1 of 84 OK"),
        ("dbt_smoke: passed: 84 nodes", logging.INFO, "dbt_smoke: passed: 84 nodes"),
        ("100 % of it", logging.INFO, "100 % of it"),
    ],
)
def test_a_line_has_the_level_that_it_deserves(
    caplog: pytest.LogCaptureFixture, line: str, level: int, message: str
) -> None:
    log = logging.getLogger("levels")
    with caplog.at_level(logging.DEBUG, "levels"):
        leveled(log)(line)
    assert [(each.levelno, each.getMessage()) for each in caplog.records] == [(level, message)]
