from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.side_by_side import Contender, extent, measure
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
    assert [(each.name, len(each.wall), each.size) for each in results] == [
        ("first", 2, [5, 5]),
        ("second", 2, [5, 5]),
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
    assert result.wall == [2.0]


def test_without_its_program_a_contender_is_said_and_left_out(tmp_path: Path) -> None:
    told = Said()
    contenders = [
        Contender("here", lambda _: 0),
        Contender("elsewhere", lambda _: 0, needs=("sh", "no-such-program")),
    ]
    results = measure(contenders, 1, tmp_path, told)
    assert [each.name for each in results] == ["here"]
    assert told[0] == "not measured: elsewhere, for want of no-such-program"


def test_a_program_that_fails_is_said_and_left_out(tmp_path: Path) -> None:
    told = Said()

    def fail(_: Path) -> int:
        raise subprocess.CalledProcessError(3, "it", stderr=b"because\n")

    results = measure(
        [Contender("fails", fail), Contender("goes on", lambda _: 1)], 2, tmp_path, told
    )
    assert [(each.name, each.size) for each in results] == [("goes on", [1, 1])]
    assert [each for each in told if "because" in each] == [
        "not measured: fails, which failed: because\n"
    ]


def test_a_contender_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(place: Path) -> int:
        (place / "half").write_bytes(b"")
        raise ValueError("it broke")

    with pytest.raises(ValueError, match="it broke"):
        measure([Contender("it", fail)], 1, tmp_path, silent)
    assert not list(tmp_path.iterdir())


def test_the_extent_of_a_directory_is_that_of_its_regular_files(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a").write_bytes(b"123")
    (tmp_path / "b").write_bytes(b"4")
    (tmp_path / "c").symlink_to("b")
    (tmp_path / "d").symlink_to("below")
    assert extent(tmp_path) == (2, 4)
