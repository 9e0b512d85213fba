from __future__ import annotations

from collections import Counter

import pytest

from elt_env.proof.singer_rows import SingerRows, parse_report

_EXTRACTED = '{"kind": "extractor", "name": "tap", "passed": {"a": 3, "b": 1}, "loaded": {}}\n'
_RECEIVED = '{"kind": "loader", "name": "target", "passed": {"a": 3}, "loaded": {"a": 2}}\n'


def test_reports_are_added_up() -> None:
    rows = parse_report(_EXTRACTED * 2 + _RECEIVED)
    assert rows == SingerRows(Counter(a=6, b=2), Counter(a=3), Counter(a=2))
    assert rows.counts() == {"extracted_rows": 8, "received_rows": 3, "loaded_rows": 2}
    assert rows.table().rows == (("a", 6, 3, 2), ("b", 2, 0, 0))


def test_what_nobody_says_is_unknown() -> None:
    rows = parse_report(_EXTRACTED)
    assert rows.loaded is None
    assert "loaded_rows" not in rows.counts()
    assert rows.table().rows[0] == ("a", 3, 0, "unknown")


@pytest.mark.parametrize("text", ["{}\n", "[]\n", "x\n", '{"kind": "loader", "passed": 3}\n'])
def test_anything_else_is_no_report(text: str) -> None:
    with pytest.raises(ValueError, match="counts nothing|Expecting value"):  # noqa: RUF043
        parse_report(text)


@pytest.mark.parametrize(
    ("extracted", "received", "loaded", "mapped", "wanted", "faults"),
    [
        (3, 3, 3, False, None, []),
        (3, 3, 3, False, 3, []),
        (3, 3, None, False, None, []),
        (3, 2, 2, False, None, ["a: 3 rows extracted, 2 received"]),
        (3, 2, 2, True, None, []),
        (3, 3, 2, True, None, ["a: 3 rows received, 2 loaded"]),
        (3, 3, 4, False, None, ["3 rows were received and 4 loaded"]),
        (2, 2, None, False, 3, ["3 rows have to arrive, and 2 were extracted"]),
        (0, 0, None, False, 1, ["1 rows have to arrive, and 0 were extracted"]),
    ],
)
def test_what_got_lost_is_told(  # noqa: PLR0917  # a column each
    extracted: int,
    received: int,
    loaded: int | None,
    mapped: bool,  # noqa: FBT001
    wanted: int | None,
    faults: list[str],
) -> None:
    rows = SingerRows(
        Counter(a=extracted), Counter(a=received), None if loaded is None else Counter(a=loaded)
    )
    assert rows.faults(mapped=mapped, wanted=wanted) == faults


def test_files_without_a_streams_name_are_compared_as_a_whole() -> None:
    rows = SingerRows(Counter(a=2, b=1), Counter(a=2, b=1), Counter({"all.csv": 2}))
    assert rows.faults(mapped=False, wanted=None) == ["3 rows were received and 2 loaded"]
