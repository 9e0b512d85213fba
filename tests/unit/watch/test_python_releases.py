"""Until when each Python is maintained."""

from __future__ import annotations

from datetime import date

import pytest

from elt_env.watch.newer_pythons import end_of_life, end_of_life_text, outlook


@pytest.mark.parametrize(
    ("minor", "end"),
    [
        ("3.8", date(2024, 10, 31)),
        ("3.9", date(2025, 10, 31)),
        ("3.10", date(2026, 10, 31)),
        ("3.11", date(2027, 10, 31)),
        ("3.14", date(2030, 10, 31)),
        ("3.15", date(2031, 10, 31)),
        ("3.7", None),
    ],
)
def test_five_years_of_fixes(minor: str, end: date | None) -> None:
    assert end_of_life(minor) == end


@pytest.mark.parametrize(
    ("today", "expected", "text"),
    [
        (date(2026, 10, 30), "maintained", "2027-10"),
        (date(2026, 10, 31), "in sight", "2027-10, in sight"),
        (date(2027, 10, 31), "in sight", "2027-10, in sight"),
        (date(2027, 11, 1), "reached", "2027-10, reached"),
    ],
)
def test_the_end_comes_in_sight_a_year_before(today: date, expected: str, text: str) -> None:
    assert outlook("3.11", today) == expected
    assert end_of_life_text("3.11", today) == text


def test_what_is_older_than_the_rule_has_ended() -> None:
    assert outlook("3.6", date(2026, 1, 1)) == "reached"
    assert end_of_life_text("3.6", date(2026, 1, 1)) == "before 2024, reached"
