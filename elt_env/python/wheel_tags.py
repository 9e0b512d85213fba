"""The compatibility tags of wheels (PEP 425) that fit an interpreter on this machine."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from packaging.tags import InvalidTag, Tag, compatible_tags, cpython_tags, parse_tag, platform_tags


@functools.lru_cache(maxsize=32)
def wheel_tags(python: str) -> tuple[Tag, ...]:
    """Return the tags of the wheels that fit CPython `python` on this machine, the best first.

    Args:
        python: as in `3.11` or `3.11.7`.
    """
    major, minor = (int(part) for part in python.split(".")[:2])
    platforms = list(platform_tags())
    abi = f"cp{major}{minor}"
    return (
        *cpython_tags((major, minor), [abi], platforms),
        *compatible_tags((major, minor), abi, platforms),
    )


def tags_of(file_name: str) -> frozenset[Tag]:
    """Return the tags in a wheel's file name, whose other parts are not looked at.

    There are none where they are written as no tags are, as in `app-1.0-py36+-none-any.whl`:
    indexes have such files from before they looked at names, and no installer takes them.
    """
    try:
        return parse_tag("-".join(file_name.removesuffix(".whl").split("-")[-3:]))
    except InvalidTag:
        return frozenset()


def is_pure(tags: Iterable[Tag]) -> bool:
    """Tell whether wheels with these tags run on every Python 3 of every platform."""
    tags = tuple(tags)
    anywhere = all(tag.abi == "none" and tag.platform == "any" for tag in tags)
    return anywhere and any(tag.interpreter == "py3" for tag in tags)
