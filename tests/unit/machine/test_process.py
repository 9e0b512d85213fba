from __future__ import annotations

import pytest

from elt_env.machine.process import end_of

TEN = "\n".join(str(number) for number in range(10))


@pytest.mark.parametrize(
    ("lines", "head", "expected"),
    [
        (2, 0, "... (8 lines left out) ...\n8\n9"),
        (2, 1, "0\n... (7 lines left out) ...\n8\n9"),
        (0, 2, "0\n1\n... (8 lines left out) ..."),
        (9, 0, "... (1 lines left out) ...\n1\n2\n3\n4\n5\n6\n7\n8\n9"),
        (7, 3, TEN),
        (30, 30, TEN),
    ],
)
def test_end_of_keeps_head_and_tail(lines: int, head: int, expected: str) -> None:
    assert end_of(TEN, lines, head) == expected


def test_end_of_keeps_thirty_lines_by_default() -> None:
    text = "\n".join(str(number) for number in range(100))
    assert end_of(text).splitlines() == [
        "... (70 lines left out) ...",
        *(str(number) for number in range(70, 100)),
    ]


@pytest.mark.parametrize(("text", "expected"), [("", ""), ("one\n", "one"), ("a\r\nb", "a\nb")])
def test_end_of_a_short_text_is_the_text(text: str, expected: str) -> None:
    assert end_of(text) == expected
