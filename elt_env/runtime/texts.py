"""Texts for a person, of which there may be more than anybody reads."""

from __future__ import annotations

from collections.abc import Sequence


def one_line(text: str, most: int = 200) -> str:
    """Return a text that anybody may have written as one short line of printable characters."""
    words = " ".join(text.split())
    return "".join(each for each in words if each.isprintable())[:most]


def first_of(items: Sequence[object], most: int, between: str = ", ") -> str:
    """Return the first of many items, and how many more there are.

    As in `a, b and 3 more`; where `between` begins a line, `and 3 more` has one of its own.
    """
    shown = between.join(map(str, items[:most]))
    left = len(items) - most
    joint = between if "\n" in between else " "
    return f"{shown}{joint}and {left} more" if left > 0 else shown
