from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.groups import GROUPS, Group
from benchmarks.plots import bars
from benchmarks.run import BUDGETS, Budget, measure_all
from benchmarks.side_by_side import Contender, Result

_RESULTS = {"ours": Result("ours", cpu=[5.0]), "floor": Result("floor", cpu=[2.0])}


@pytest.mark.parametrize(
    ("budget", "figure"),
    [
        (Budget("it", ("ours",), 3.0, ("floor",)), 2.5),
        (Budget("it", ("ours",), 0.2, ("floor",), beyond=True), 3.0),
        (Budget("it", ("ours", "floor"), 9.0), 7.0),
        (Budget("it", ("ours",), 3.0, ("elsewhere",)), None),
    ],
)
def test_a_figure_is_a_ratio_or_what_is_beyond_the_floor(
    budget: Budget, figure: float | None
) -> None:
    assert budget.figure(_RESULTS) == figure


def test_the_report_has_every_round_and_says_what_falls_short(tmp_path: Path) -> None:
    said: list[str] = []
    names = ("floor", "ours")
    budgets = [Budget("it", ("ours",), most, ("floor",), "size") for most in (2.0, 0.5)]
    missing = Contender("theirs", lambda _: 0, needs=("no-such-program",))
    group = Group((*(Contender(each, lambda _: 7) for each in names), missing))

    report = measure_all({"both": group}, budgets, 3, tmp_path, lambda line, *_: said.append(line))

    assert [len(report["groups"]["both"][each]["cpu"]) for each in names] == [3, 3]
    assert report["groups"]["both"]["ours"]["size"] == [7, 7, 7]
    assert [(each["figure"], each["met"]) for each in report["budgets"]] == [(1, True), (1, False)]
    told = "\n".join(said)
    assert "not measured: theirs, for want of no-such-program" in told
    assert told.count("FALLS SHORT") == 1
    bars("both", report["groups"]["both"], tmp_path / "both.svg")
    plot = (tmp_path / "both.svg").read_text(encoding="utf-8")
    assert "ours" in plot
    assert "<script" not in plot


def test_a_group_is_measured_no_more_often_than_it_may(tmp_path: Path) -> None:
    group = Group((Contender("it", lambda _: 0),), most_rounds=2)
    report = measure_all({"one": group}, (), 5, tmp_path, lambda *_: None)
    assert len(report["groups"]["one"]["it"]["wall"]) == 2


def test_every_row_of_the_table_of_budgets_is_named_once_for_each_unit() -> None:
    assert len({(each.what, each.unit) for each in BUDGETS}) == len(BUDGETS)
    assert {"lock", "build", "cold", "watch", "history", "checks"} <= GROUPS.keys()
