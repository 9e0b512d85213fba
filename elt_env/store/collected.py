"""The items that garbage collection removes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

What = Literal[
    "prefix",
    "image",
    "bundles",
    "records",
    "unpacked image",
    "layers",
    "archives",
    "conda packages",
    "bytecode",
    "notes",
    "pages",
    "leftover",
]


@dataclass(frozen=True)
class Item:
    """Something that nobody refers to any more.

    Attributes:
        name: of its directory or image, or how many there are.
        size: bytes that its removal frees; what others share is not counted.
    """

    what: What
    name: str
    size: int

    def __str__(self) -> str:
        return f"{self.what:<14} {self.size / 1e6:>9.1f} MB  {self.name}"


def collected_text(items: tuple[Item, ...], *, dry_run: bool) -> str:
    """Return what was or would be removed, for a person."""
    verb = "would be freed" if dry_run else "freed"
    total = sum(each.size for each in items) / 1e6
    return "\n".join([*map(str, items), f"{total:.1f} MB {verb}, {len(items)} items"])
