"""Find the directories that running processes use."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator
from pathlib import Path

_LINKS = ("exe", "cwd", "root")


def in_use(directories: Collection[Path]) -> frozenset[Path]:
    """Return those that a process runs from, works in, or has mapped a file of (proc(5)).

    What runs from a venv has its interpreter elsewhere, and is known by how it was called.
    Processes of others that this user may not look into are not seen; where there is no /proc,
    none is.
    """
    found: set[Path] = set()
    spelled = {os.path.realpath(each): each for each in directories}
    for process in _processes():
        text = _places(process)
        found |= {each for real, each in spelled.items() if f"{real}/" in text}
    return frozenset(found)


def _processes() -> Iterator[Path]:
    with contextlib.suppress(FileNotFoundError):
        yield from (each for each in Path("/proc").iterdir() if each.name.isdigit())


def _places(process: Path) -> str:
    """Return the paths that a process holds, a line each; "" for one that has ended."""
    places = []
    for name in _LINKS:
        with contextlib.suppress(OSError):
            places.append(f"{(process / name).readlink()}/")
    for name in ("maps", "cmdline"):
        with contextlib.suppress(OSError):
            places.append((process / name).read_text(errors="replace"))
    return "\n".join(places)
