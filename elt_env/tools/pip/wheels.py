"""Which of a release's wheels an installer would take here."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

from packaging.pylock import PackageWheel
from packaging.tags import compatible_tags, cpython_tags, platform_tags
from packaging.utils import parse_wheel_filename


def best_wheel(wheels: Sequence[PackageWheel], python: str) -> PackageWheel | None:
    """Return the wheel that fits CPython `python` (`3.11.7`) on this machine best, or None.

    The order is the one of PEP 425, as in pip: the most specific tag first, then the highest
    build number. uv lists all that fit by file name.
    """
    order = _order(python)
    ranked = [(_rank(each, order), each) for each in wheels]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


def _order(python: str) -> dict[str, int]:
    major, minor = (int(part) for part in python.split(".")[:2])
    platforms = list(platform_tags())
    tags = [
        *cpython_tags((major, minor), platforms=platforms),
        *compatible_tags((major, minor), f"cp{major}{minor}", platforms),
    ]
    return {str(tag): place for place, tag in enumerate(tags)}


def _rank(wheel: PackageWheel, order: dict[str, int]) -> tuple[int, int]:
    name = unquote(urlsplit(wheel.url or "").path.rpartition("/")[2])
    _, _, build, tags = parse_wheel_filename(name)
    place = min(order.get(str(tag), len(order)) for tag in tags)
    return place, -build[0] if build else 0
