from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.release.record import (
    Release,
    number_after,
    release_before,
    step_back,
    to_keep,
    withdrawn,
)
from tests.support.releases import a_release, digest, history_of

HISTORIES = st.text(st.sampled_from("abcABC"), min_size=1, max_size=12).map(history_of)


def letter(release: Release | None) -> str | None:
    return release.digest[-1] if release else None


def test_numbers_begin_with_one() -> None:
    assert number_after(None) == 1
    assert number_after(a_release(7, "a")) == 8


@pytest.mark.parametrize(
    ("history", "before"), [("a", None), ("ab", "a"), ("abb", "a"), ("abA", "b"), ("aa", None)]
)
def test_the_release_before_is_of_another_lock(history: str, before: str | None) -> None:
    assert letter(release_before(history_of(history))) == before


@pytest.mark.parametrize(
    ("history", "gone"),
    [
        ("a", ""),
        ("ab", ""),
        ("abA", "b"),  # back from b
        ("abAb", ""),  # a person promoted it again
        ("abcBA", "bc"),  # two steps back
        ("abcA", "c"),  # b was passed by, nobody went back from it
        ("abAB", "a"),  # the first step back was taken back
    ],
)
def test_what_was_rolled_back_from_is_withdrawn(history: str, gone: str) -> None:
    assert withdrawn(history_of(history)) == {digest(each) for each in gone}


@pytest.mark.parametrize(
    ("history", "goal"),
    [
        ("a", None),
        ("aaa", None),
        ("ab", "a"),
        ("abc", "b"),
        ("abcB", "a"),  # not c, which is known to be bad
        ("abA", "b"),  # there is no other
        ("abAc", "a"),  # not b
    ],
)
def test_a_step_back_goes_to_the_newest_one_that_was_not_withdrawn(
    history: str, goal: str | None
) -> None:
    assert letter(step_back(history_of(history))) == goal


@given(HISTORIES)
def test_a_step_back_is_always_to_another_lock_that_was_released(
    history: tuple[Release, ...],
) -> None:
    goal = step_back(history)
    others = {each.digest for each in history} - {history[-1].digest}
    assert (goal.digest in others) if goal else not others


@given(HISTORIES)
def test_the_current_release_is_never_withdrawn(history: tuple[Release, ...]) -> None:
    assert history[-1].digest not in withdrawn(history)


@pytest.mark.parametrize(
    ("history", "count", "kept"),
    [
        ("a", 1, "a"),
        ("abc", 1, "bc"),  # one, and what a roll back goes to
        ("abc", 2, "bc"),
        ("abc", 3, "abc"),
        ("abcB", 1, "ab"),  # the next step back is to a
        ("abcB", 2, "abc"),
        ("aab", 2, "ab"),  # locks are counted, not moves
    ],
)
def test_the_last_releases_stay_and_what_a_roll_back_goes_to(
    history: str, count: int, kept: str
) -> None:
    found = to_keep(history_of(history), count)
    assert "".join(sorted(each[-1] for each in found)) == kept


@given(HISTORIES, st.integers(1, 4))
def test_the_release_and_what_a_roll_back_goes_to_always_stay(
    history: list[Release], count: int
) -> None:
    found = to_keep(history, count)
    back = step_back(history)
    assert history[-1].digest in found
    assert back is None or back.digest in found
    assert len(found) <= count + 1
