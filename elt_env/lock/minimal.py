"""A smallest part of a whole that already has a property: QuickXplain (Junker, 2004)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

_Item = TypeVar("_Item")


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
