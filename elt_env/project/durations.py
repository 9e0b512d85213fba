"""Lengths of time as a policy writes them."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

_UNITS = {
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
    "week": timedelta(weeks=1),
}
_DURATION = re.compile(rf"(?P<count>[0-9]+) ?(?P<unit>{'|'.join(_UNITS)})s?")
_LONGEST = timedelta(days=36525)
_MOST_DIGITS = 12  # a century has ten digits of seconds


def parse_duration(value: object) -> timedelta:
    """Return what `3 days`, `12 hours`, `1 week` or `0` means; a timedelta is left as it is.

    Raises:
        ValueError: none of these, or longer than a century.
    """
    if isinstance(value, timedelta):
        return value
    text = str(value).strip()
    if text == "0":
        return timedelta(0)
    found = _DURATION.fullmatch(text)
    if found is None:
        raise ValueError("write a number and a unit, as in '3 days', '12 hours' or '0'")
    digits, unit = found["count"].lstrip("0") or "0", _UNITS[found["unit"]]
    if len(digits) > _MOST_DIGITS or int(digits) > _LONGEST / unit:
        raise ValueError("nothing here takes longer than a century")
    return int(digits) * unit


Duration = Annotated[
    timedelta,
    BeforeValidator(parse_duration),
    WithJsonSchema({"type": ["string", "integer"], "examples": ["3 days", "12 hours", "0"]}),
]
