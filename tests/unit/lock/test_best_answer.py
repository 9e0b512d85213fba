"""Which of several answers is the best, and when the search for it ends."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.lock.best_answer import BestSearch, Clause, Contender, Places, steps


def _contender(name: str, *days: float | None) -> Contender:
    """Return a contender whose versions, newest first, were released on these days."""
    count = len(days)
    versions = [(str(count - n), day, f"{name}>={count - n}") for n, day in enumerate(days)]
    return Contender(name, steps(versions))


def test_a_backport_does_not_make_an_old_series_young() -> None:
    found = steps([("2.0", 10.0, "a>=2.0"), ("1.9", 30.0, "a>=1.9"), ("1.8", 5.0, "a>=1.8")])
    assert [each.lag for each in found] == [(0.0, 0), (0.0, 1), (25.0, 2)]


def test_days_that_nobody_knows_are_no_lag() -> None:
    found = steps([("2", None, "a>=2"), ("1", 7.0, "a>=1")])
    assert [each.lag for each in found] == [(0.0, 0), (0.0, 1)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 0, "b": 1}, {"a": 1, "b": 0}),  # days decide: b lags one day, a a hundred
        ({"a": 0, "b": 0}, {"a": 0, "b": 1}),
    ],
)
def test_what_lags_less_taken_together_is_better(one: Places, other: Places) -> None:
    search = BestSearch((_contender("a", 100, 0), _contender("b", 1, 0)))
    assert search.key(one) < search.key(other)


def test_what_is_preferred_goes_before_all() -> None:
    both = (_contender("a", 100, 0), _contender("b", 1, 0))
    search = BestSearch(both, prefer=("b",))
    assert search.key({"a": 1, "b": 0}) < search.key({"a": 0, "b": 1})


def test_nothing_is_better_than_the_newest_of_all() -> None:
    search = BestSearch((_contender("a", 2, 1),), found=[{"a": 0}])
    assert search.better() == ()


def test_a_better_answer_has_one_at_most_that_lags_more_than_half_of_it_all() -> None:
    three = tuple(_contender(name, 100, 40, 0) for name in "abc")
    search = BestSearch(three, found=[{"a": 2, "b": 0, "c": 0}])
    assert (("c>=3", "b>=3"), ("a>=3", "b>=3"), ("a>=3", "c>=3")) in search.better()


def _holds(clause: Clause, places: Places, contenders: tuple[Contender, ...]) -> bool:
    needs = {
        step.at_least: (each.name, place)
        for each in contenders
        for place, step in enumerate(each.steps)
    }
    return any(all(places[needs[t][0]] <= needs[t][1] for t in some) for some in clause)


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=3), min_size=1, max_size=4),
    st.data(),
)
def test_the_search_ends_with_the_best_of_what_is_possible(
    days: list[list[int]], data: st.DataObject
) -> None:
    contenders = tuple(_contender(f"c{number}", *each) for number, each in enumerate(days))
    everything = [
        dict(zip((each.name for each in contenders), chosen, strict=True))
        for chosen in itertools.product(*(range(len(each.steps)) for each in contenders))
    ]
    possible = data.draw(st.lists(st.sampled_from(everything), min_size=1, unique_by=str))
    search = BestSearch(contenders, found=[possible[0]])
    while clauses := search.better():
        fitting = [
            each for each in possible if all(_holds(one, each, contenders) for one in clauses)
        ]
        if not fitting:
            break
        search.found.append(data.draw(st.sampled_from(fitting)))
        assert len(search.found) <= len(possible)
    assert search.key(search.best) == min(map(search.key, possible))
