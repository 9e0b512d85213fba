"""What grows is measured at each size, and drawn."""

from __future__ import annotations

from pathlib import Path

from benchmarks.growth import Series, draw, measure_all


def test_each_size_is_measured_in_every_round_and_drawn(tmp_path: Path) -> None:
    done: list[int] = []
    said: list[str] = []
    sizes = {size: lambda size=size: done.append(size) for size in (1, 10)}

    found = measure_all(
        [Series("one", "things", sizes), Series("other", "things", {5: lambda: None})],
        2,
        lambda line, *_: said.append(line),
    )
    draw(found, tmp_path)

    assert done == [1, 10, 1, 10]
    assert {name: [*seconds] for name, seconds in found["things"].items()} == {
        "one": [1, 10],
        "other": [5],
    }
    assert len(said) == 2
    plot = (tmp_path / "things.svg").read_text(encoding="utf-8")
    assert "one" in plot
    assert "<script" not in plot
