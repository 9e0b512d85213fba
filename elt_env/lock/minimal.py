"""A smallest part of a whole that fails, and the fewest items without which none does.

QuickXplain (Junker, 2004) and the hitting-set tree (Reiter, 1987).
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")
_Key = TypeVar("_Key", bound=Hashable)
_Found = TypeVar("_Found")

_DEEP = 6  # items that are left out together
_WIDE = 3  # sets of one size whose next conflict is looked for, which is what takes long


def minimal(items: Sequence[_Item], fails: Callable[[Sequence[_Item]], bool]) -> list[_Item]:
    """Return items that fail together, and of which none can be left out, in their order.

    Args:
        items: what fails as a whole.
        fails: whether some of them fail; more of them never fail less.
    """
    if fails([]):
        return []
    return _smaller([], list(items), fails, known_changed=False)


def _smaller(
    known: list[_Item],
    items: list[_Item],
    fails: Callable[[Sequence[_Item]], bool],
    *,
    known_changed: bool,
) -> list[_Item]:
    """Return what of `items` must be added to `known` so that it fails."""
    if known_changed and fails(known):
        return []
    if len(items) <= 1:
        return items
    half = len(items) // 2
    first, second = items[:half], items[half:]
    of_second = _smaller(known + first, second, fails, known_changed=bool(first))
    of_first = _smaller(known + of_second, first, fails, known_changed=bool(of_second))
    return of_first + of_second


def repairs(
    conflict: Sequence[_Key],
    without: Callable[[tuple[_Key, ...]], _Found | None],
    next_conflict: Callable[[tuple[_Key, ...]], Sequence[_Key]],
) -> Iterator[_Found]:
    """Yield what is possible without the fewest items; nothing where over six have to go.

    Args:
        conflict: a smallest set of items that fail together.
        without: what is possible without these items, or None.
        next_conflict: a smallest set that fails where these are left out.
    """
    level: list[tuple[_Key, ...]] = [(each,) for each in conflict]
    is_cut = False
    for _ in range(_DEEP):
        failed: list[tuple[_Key, ...]] = []
        found: dict[frozenset[_Key], _Found] = {}
        for some in level:
            possible = without(some)
            if possible is None:
                failed.append(some)
            else:
                # Where sets were passed by, a part of this one may do.
                enough, what = _fewest(some, possible, without) if is_cut else (some, possible)
                found[frozenset(enough)] = what
        yield from found.values()
        if found:
            return
        is_cut |= len(failed) > _WIDE
        longer = ((*some, each) for some in failed[:_WIDE] for each in next_conflict(some))
        level = list({frozenset(each): each for each in longer}.values())


def _fewest(
    some: tuple[_Key, ...],
    possible: _Found,
    without: Callable[[tuple[_Key, ...]], _Found | None],
) -> tuple[tuple[_Key, ...], _Found]:
    """Return what of some items all have to go, and what is possible without these."""
    for back in some:
        fewer = tuple(each for each in some if each != back)
        more = without(fewer) if fewer else None
        if more is not None:
            return _fewest(fewer, more, without)
    return some, possible
