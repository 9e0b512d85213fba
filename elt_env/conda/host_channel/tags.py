"""What a wheel's compatibility tags say (PEP 425). Pure but for the machine's own platform."""

from __future__ import annotations

from collections.abc import Iterable

from packaging.tags import Tag, compatible_tags, cpython_tags, platform_tags


def is_pure(tags: Iterable[Tag]) -> bool:
    """Tell whether wheels with these tags run on every Python 3 of every platform."""
    tags = tuple(tags)
    anywhere = all(tag.abi == "none" and tag.platform == "any" for tag in tags)
    return anywhere and any(tag.interpreter == "py3" for tag in tags)


def fits(tags: Iterable[Tag], minor: str) -> bool:
    """Tell whether a wheel with these tags installs into CPython `minor` on this machine."""
    major, _, number = minor.partition(".")
    version = (int(major), int(number))
    platforms = list(platform_tags())
    accepted = {
        *cpython_tags(version, platforms=platforms),
        *compatible_tags(version, f"cp{major}{number}", platforms),
    }
    return not accepted.isdisjoint(tags)
