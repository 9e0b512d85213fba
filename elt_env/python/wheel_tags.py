"""The compatibility tags of wheels (PEP 425) that fit an interpreter on a platform."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator

from packaging.tags import (
    InvalidTag,
    Tag,
    compatible_tags,
    cpython_tags,
    mac_platforms,
    parse_tag,
    platform_tags,
)

from elt_env.package.platform import Platform, platform_of

# manylinux's names from before PEP 600, by the minor version of glibc 2.
_OLD_NAMES = {5: "manylinux1", 12: "manylinux2010", 17: "manylinux2014"}
_OLDEST = {"x86_64": 5}  # the others came with glibc 2.17


def wheel_tags(python: str) -> tuple[Tag, ...]:
    """Return the tags of the wheels that fit CPython `python` on its platform, the best first.

    Args:
        python: as in `3.11` or `3.11.7`; one that is a PythonVersion is on another platform.
    """
    return _tags(str(python), platform_of(python))


@functools.lru_cache(maxsize=32)
def _tags(python: str, platform: Platform | None) -> tuple[Tag, ...]:
    major, minor = (int(part) for part in python.split(".")[:2])
    platforms = list(_names(platform) if platform else platform_tags())
    abi = f"cp{major}{minor}"
    return (
        *cpython_tags((major, minor), [abi], platforms),
        *compatible_tags((major, minor), abi, platforms),
    )


def _names(platform: Platform) -> Iterator[str]:
    """Yield the names of a platform in tags, the best first (PEP 600, PEP 425)."""
    if platform.is_mac:
        yield from mac_platforms(platform.system, platform.machine)
        return
    major, newest = platform.system
    for minor in range(newest, _OLDEST.get(platform.machine, 17) - 1, -1):
        yield f"manylinux_{major}_{minor}_{platform.machine}"
        if minor in _OLD_NAMES:
            yield f"{_OLD_NAMES[minor]}_{platform.machine}"
    yield f"linux_{platform.machine}"


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
