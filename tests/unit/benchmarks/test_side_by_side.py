from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.side_by_side import Contender, Result, extent, measure, table
from tests.support.said import Said
from tests.support.sample import silent


def test_contenders_take_turns_in_one_directory_a_round(tmp_path: Path) -> None:
    seen: list[tuple[str, list[str]]] = []

    def look(name: str, place: Path) -> int:
        seen.append((name, sorted(each.name for each in place.iterdir())))
        (place / name).write_bytes(b"12345")
        return 5

    contenders = [
        Contender("first", lambda place: look("first", place)),
        Contender("second", lambda place: look("second", place)),
    ]
    results = measure(contenders, 2, tmp_path, silent)
    assert seen == [("first", []), ("second", ["first"])] * 2
    assert [(each.name, len(each.seconds), each.size) for each in results] == [
        ("first", 2, 5),
        ("second", 2, 5),
    ]
    assert not list(tmp_path.iterdir())


def test_what_prepares_is_not_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("time.perf_counter", lambda: clock[0])

    def spend(seconds: float) -> int:
        clock[0] += seconds
        return 0

    def prepare(_: Path) -> None:
        spend(100)

    (result,) = measure([Contender("it", lambda _: spend(2), prepare)], 1, tmp_path, silent)
    assert result.seconds == [2.0]


def test_without_its_program_a_contender_is_said_and_left_out(tmp_path: Path) -> None:
    told = Said()
    contenders = [
        Contender("here", lambda _: 0),
        Contender("elsewhere", lambda _: 0, needs=("sh", "no-such-program")),
    ]
    results = measure(contenders, 1, tmp_path, told)
    assert [each.name for each in results] == ["here"]
    assert told[0] == "not measured: elsewhere, for want of no-such-program"


def test_a_contender_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(place: Path) -> int:
        (place / "half").write_bytes(b"")
        raise ValueError("it broke")

    with pytest.raises(ValueError, match="it broke"):
        measure([Contender("it", fail)], 1, tmp_path, silent)
    assert not list(tmp_path.iterdir())


def test_the_fastest_rounds_are_compared_with_the_first_contender() -> None:
    results = [Result("floor", [2.5, 2.0]), Result("packer", [3.0, 3.5], 1_250_000)]
    heading, *rows = table(results)
    assert heading.split() == ["seconds", "slowest", "MB", "ratio"]
    assert [each.split() for each in rows] == [
        ["floor", "2.00", "2.50", "-", "1.00"],
        ["packer", "3.00", "3.50", "1.2", "1.50"],
    ]


def test_the_extent_of_a_directory_is_that_of_its_regular_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"4")
    (tmp_path / "c").symlink_to("b")
    (tmp_path / "d").symlink_to("below")
    assert extent(tmp_path) == (2, 4)
