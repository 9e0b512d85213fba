"""A smallest part that already fails, and what has to go so that nothing does."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import example, given
from hypothesis import strategies as st

from elt_env.lock.minimal import minimal, repairs


@given(
    st.integers(1, 12),
    st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=4), min_size=1, max_size=3),
)
def test_what_is_left_fails_and_nothing_of_it_can_be_left_out(
    count: int, conflicts: list[set[int]]
) -> None:
    def fails(some: Sequence[int]) -> bool:
        return any(each <= set(some) for each in conflicts)

    items = list(range(count))
    if not fails(items):
        return
    found = minimal(items, fails)
    assert fails(found)
    assert found == sorted(found)
    assert not any(fails([each for each in found if each != left]) for left in found)


def test_nothing_is_needed_where_all_fails() -> None:
    assert minimal([1, 2], lambda _: True) == []


@example([{5}, {3, 4}, {0, 1, 2, 3}])
@given(st.lists(st.sets(st.integers(0, 11), min_size=1, max_size=4), min_size=1, max_size=5))
def test_what_is_repaired_fails_no_more_and_all_that_is_left_out_has_to_go(
    conflicts: list[set[int]],
) -> None:
    def fails(some: Sequence[int]) -> bool:
        return any(each <= set(some) for each in conflicts)

    def rest(gone: Sequence[int]) -> list[int]:
        return [each for each in range(12) if each not in gone]

    def without(some: tuple[int, ...]) -> tuple[int, ...] | None:
        return None if fails(rest(some)) else some

    found = list(
        repairs(minimal(rest(()), fails), without, lambda some: minimal(rest(some), fails))
    )
    assert found
    for some in found:
        assert not fails(rest(some))
        assert all(fails(rest([each for each in some if each != back])) for back in some)


def test_no_more_than_six_are_left_out() -> None:
    def next_conflict(some: tuple[int, ...]) -> list[int]:
        return [len(some)]

    def without(needed: int) -> list[tuple[int, ...]]:
        return list(repairs([0], lambda some: some if len(some) == needed else None, next_conflict))

    assert without(6) == [(0, 1, 2, 3, 4, 5)]
    assert without(7) == []
