"""What the steps say, at the levels of Dagster's log."""

from __future__ import annotations

import logging

import pytest

from elt_env.defs.levels import leveled


@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO, logging.WARNING])
def test_a_line_keeps_its_level(caplog: pytest.LogCaptureFixture, level: int) -> None:
    log = logging.getLogger("levels")
    with caplog.at_level(logging.DEBUG, "levels"):
        leveled(log)("from http://ann:secret@index.example/simple", level)
    (record,) = caplog.records
    assert record.levelno == level
    assert "secret" not in record.getMessage()
