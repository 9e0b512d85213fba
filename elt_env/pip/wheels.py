"""Choose among a release's wheels as an installer would here."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from packaging.pylock import PackageWheel
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from elt_env.python.wheel_tags import wheel_tags


def best_wheel(wheels: Sequence[PackageWheel], python: str) -> PackageWheel | None:
    """Return the wheel that fits CPython `python` (`3.11.7`) on this machine best, or None.

    The order is the one of PEP 425, as in pip: the most specific tag first, then the highest
    build number. uv lists all that fit by file name.
    """
    order = {tag: place for place, tag in enumerate(wheel_tags(python))}
    ranked = [(_rank(each, order), each) for each in wheels]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


def _rank(wheel: PackageWheel, order: dict[Tag, int]) -> tuple[int, int]:
    name = unquote(urlsplit(wheel.url or "").path.rpartition("/")[2])
    _, _, build, tags = parse_wheel_filename(name)
    place = min(order.get(tag, len(order)) for tag in tags)
    return place, -build[0] if build else 0
