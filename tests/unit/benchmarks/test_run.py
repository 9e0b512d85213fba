from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.run import Budget, Group, measure_all
from benchmarks.side_by_side import Contender


@pytest.mark.parametrize(
    ("budget", "figure"),
    [(Budget("ours", "floor", 3.0), 2.5), (Budget("ours", "floor", 0.2, beyond=True), 3.0)],
)
def test_a_figure_is_a_ratio_or_what_is_beyond_the_floor(budget: Budget, figure: float) -> None:
    assert budget.figure({"ours": 5.0, "floor": 2.0}) == figure


def test_the_report_has_every_round_and_says_what_falls_short(tmp_path: Path) -> None:
    said: list[str] = []
    names = ("floor", "ours")
    budgets = (Budget("ours", "floor", 1e9), Budget("ours", "floor", -1.0))
    group = Group(tuple(Contender(each, lambda _: 7) for each in names), budgets)
    missing = Contender("theirs", lambda _: 0, needs=("no-such-program",))
    group = Group((*group.contenders, missing), budgets)

    report = measure_all({"both": group}, 3, tmp_path, lambda line, *_: said.append(line))

    assert [len(report["groups"]["both"][each]["seconds"]) for each in names] == [3, 3]
    assert report["groups"]["both"]["ours"]["bytes"] == 7
    assert [each["met"] for each in report["budgets"]] == [True, False]
    told = "\n".join(said)
    assert "not measured: theirs, for want of no-such-program" in told
    assert told.count("FALLS SHORT") == 1
