"""Which machines may take a release, and when the next ones may."""

from __future__ import annotations

from datetime import datetime, timezone

from hypothesis import given
from hypothesis import strategies as st

from elt_env.follow.reports import Report, State
from elt_env.follow.waves import ENOUGH, decide, wave_of

_NUMBER = 7
_NOW = datetime(2026, 1, 1, tzinfo=timezone.utc)

machines = st.integers(0, 16**16 - 1).map(lambda each: f"{each:016x}")
rollouts = st.sets(st.integers(1, 99), max_size=4).map(lambda each: (*sorted(each), 100))
states = st.sampled_from(["runs", "waits", "failed", "trouble"])


def report(machine: str, state: State, number: int = _NUMBER) -> Report:
    running = number if state == "runs" else number - 1
    return Report(machine, "host", number, state, running, "", _NOW)


fleets = st.dictionaries(machines, st.tuples(states, st.sampled_from([_NUMBER, _NUMBER - 1])))


@given(machines, rollouts)
def test_a_machine_is_in_the_first_wave_that_reaches_its_share(
    machine: str, percents: tuple[int, ...]
) -> None:
    share = int(machine, 16) / 16**16 * 100
    wave = wave_of(machine, percents)
    assert share <= percents[wave]
    assert wave == 0 or share >= percents[wave - 1]


@given(rollouts)
def test_as_many_machines_are_in_each_wave_as_it_says(percents: tuple[int, ...]) -> None:
    spread = [f"{number * 16**16 // 100:016x}" for number in range(100)]
    waves = [wave_of(each, percents) for each in spread]
    for wave, percent in enumerate(percents):
        assert abs(sum(each <= wave for each in waves) - percent) <= 1


@given(machines, rollouts, st.integers(1, 99))
def test_one_more_wave_makes_nobody_later(
    machine: str, percents: tuple[int, ...], more: int
) -> None:
    finer = tuple(sorted({*percents, more}))
    assert finer[wave_of(machine, finer)] <= percents[wave_of(machine, percents)]


@given(fleets, rollouts, st.integers(0, 5))
def test_what_comes_next(
    fleet: dict[str, tuple[State, int]], percents: tuple[int, ...], wave: int
) -> None:
    reports = [report(machine, *said) for machine, said in fleet.items()]
    found = decide(percents, wave, _NUMBER, fleet, reports)
    may = {each for each in fleet if wave_of(each, percents) <= wave}
    failed = {each for each in may if fleet[each] == ("failed", _NUMBER)}
    well = {each for each in may if fleet[each] == ("runs", _NUMBER)}
    assert {each.machine for each in found.failed} == failed
    assert (found.machines, found.well) == (len(may), len(well))
    if wave >= len(percents):
        assert found.verdict == "done"
    elif failed:
        assert found.verdict == "stop"
    else:
        assert (found.verdict == "open") == (len(well) >= ENOUGH * len(may))


@given(fleets, rollouts, machines)
def test_another_machine_that_runs_it_well_closes_no_wave(
    fleet: dict[str, tuple[State, int]], percents: tuple[int, ...], more: str
) -> None:
    reports = [report(machine, *said) for machine, said in fleet.items() if machine != more]
    before = decide(percents, 0, _NUMBER, [each.machine for each in reports], reports)
    reports.append(report(more, "runs"))
    after = decide(percents, 0, _NUMBER, [each.machine for each in reports], reports)
    assert before.verdict != "open" or after.verdict == "open"
