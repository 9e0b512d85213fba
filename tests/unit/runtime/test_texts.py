from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.runtime.texts import first_of, one_line


@pytest.mark.parametrize(
    ("items", "between", "text"),
    [
        ("ab", ", ", "a, b"),
        ("abc", ", ", "a, b and 1 more"),
        ("abcd", "; ", "a; b and 2 more"),
        ("abc", "\n  ", "a\n  b\n  and 1 more"),
        ("", ", ", ""),
    ],
)
def test_of_many_the_first_are_said(items: str, between: str, text: str) -> None:
    assert first_of(items, 2, between) == text


@given(st.text())
def test_a_reason_is_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.isprintable()
    assert len(line) <= 200
    assert "".join(line.split()) in "".join(filter(str.isprintable, "".join(text.split())))


def test_a_reason_keeps_its_words() -> None:
    assert one_line("Broken\n  wheel:\tsee \x1b[31m#12") == "Broken wheel: see [31m#12"
