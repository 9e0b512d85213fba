from __future__ import annotations

import pytest

from elt_env.runtime.texts import first_of


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
