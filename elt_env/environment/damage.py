"""Damage to a prefix, found by comparing lists of its files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from elt_env.python.bytecode import is_cached

Part = Literal["lock", "prefix", "bytecode", "image", "release"]
Fault = Literal[
    "is gone",
    "was changed",
    "was added",
    "has other permissions",
    "has other extended attributes",
    "is not built",
]


@dataclass(frozen=True, order=True)
class Damage:
    """Something that is not as it was made.

    Attributes:
        part: what it belongs to; `bytecode` is what a prefix holds below a `__pycache__`,
            and what nobody has changed in its place.
        path: a file of the directory of a lock, a prefix, a release or of images, relative to it,
            or a directory of a prefix, with a slash at its end; `current` for the link to a
            release; else a blob's digest, or "" where the whole part is meant.
    """

    part: Part
    path: str
    fault: Fault

    @property
    def is_fault(self) -> bool:
        """Whether it is more than bytecode, which is derived, and which Python writes anew."""
        return self.part != "bytecode"

    def __str__(self) -> str:
        return f"{self.part}: {self.path or 'all of it'} {self.fault}"


def compare_lists(listed: Mapping[str, str], found: Mapping[str, str]) -> tuple[Damage, ...]:
    """Return in what the files that are `found` in a prefix differ from those `listed`.

    Both are the `files` of a `elt_env.environment.file_list.SealedFiles`.
    """
    paths = sorted({path for path, _ in listed.items() ^ found.items()})
    faults = ((path, _fault(listed.get(path), found.get(path))) for path in paths)
    return tuple(
        Damage("bytecode" if is_cached(path) else "prefix", path, fault)
        for path, fault in faults
        if fault
    )


def compare_attributes(listed: Mapping[str, str], found: Mapping[str, str]) -> tuple[Damage, ...]:
    """Return which paths of a prefix have other extended attributes than were listed."""
    paths = sorted(listed.keys() | found.keys())
    return tuple(
        Damage("prefix", path, "has other extended attributes")
        for path in paths
        if listed.get(path) != found.get(path)
    )


def _fault(listed: str | None, found: str | None) -> Fault | None:
    if listed == found:
        return None
    if found is None:
        return "is gone"
    if listed is None:
        return "was added"
    same = listed.partition(" ")[2] == found.partition(" ")[2] and "-> " not in listed + found
    return "has other permissions" if same else "was changed"
