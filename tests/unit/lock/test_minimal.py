"""A smallest part that already fails."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from elt_env.lock.minimal import minimal


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
