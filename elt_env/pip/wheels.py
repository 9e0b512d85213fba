"""Which of a release's wheels an installer would take here."""

from __future__ import annotations

import functools
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
    order = {tag: place for place, tag in enumerate(wheel_tags(python))}
    ranked = [(_rank(each, order), each) for each in wheels]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


@functools.lru_cache(maxsize=32)
def wheel_tags(python: str) -> tuple[str, ...]:
    """Return the tags of the wheels that fit CPython `python` on this machine, the best first.

    As in `cp311-cp311-manylinux_2_17_x86_64` (PEP 425).
    """
    major, minor = (int(part) for part in python.split(".")[:2])
    platforms = list(platform_tags())
    abi = f"cp{major}{minor}"
    tags = [
        *cpython_tags((major, minor), [abi], platforms),
        *compatible_tags((major, minor), abi, platforms),
    ]
    return tuple(str(tag) for tag in tags)


def _rank(wheel: PackageWheel, order: dict[str, int]) -> tuple[int, int]:
    name = unquote(urlsplit(wheel.url or "").path.rpartition("/")[2])
    _, _, build, tags = parse_wheel_filename(name)
    place = min(order.get(str(tag), len(order)) for tag in tags)
    return place, -build[0] if build else 0
