"""The support period of each Python minor. Pure functions of a date."""

from __future__ import annotations

import calendar
from datetime import date, timedelta
from typing import Literal

Outlook = Literal["maintained", "in sight", "reached"]

_IN_SIGHT = timedelta(days=365)
_OLDEST_BY_RULE = 8
_MONTH = 10
_YEAR_OF_ZERO = 2016


def end_of_life(minor: str) -> date | None:
    """Return the last day of the month in which a Python minor gets its last fixes.

    Five years after its release, in October: PEP 569 (3.8), 596 (3.9), 619 (3.10), 664 (3.11),
    693 (3.12), 719 (3.13), 745 (3.14), 790 (3.15), and PEP 602 for those to come.

    Args:
        minor: as in `3.11`.

    Returns:
        None for what is older than that rule.
    """
    number = int(minor.partition(".")[2])
    if number < _OLDEST_BY_RULE:
        return None
    year = _YEAR_OF_ZERO + number
    return date(year, _MONTH, calendar.monthrange(year, _MONTH)[1])


def outlook(minor: str, today: date) -> Outlook:
    """Tell whether a Python minor's end of life has been reached, or is at most a year away."""
    end = end_of_life(minor)
    if end is None or today > end:
        return "reached"
    return "in sight" if end - today <= _IN_SIGHT else "maintained"


def end_of_life_text(minor: str, today: date) -> str:
    """Return the month of a Python minor's end of life, as in `2027-10, in sight`."""
    end = end_of_life(minor)
    month = f"{end:%Y-%m}" if end else "before 2024"
    state = outlook(minor, today)
    return month if state == "maintained" else f"{month}, {state}"
