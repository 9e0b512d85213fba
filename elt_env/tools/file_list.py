"""What every file of a sealed prefix was when it was sealed, kept beside the prefix."""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH115, PTH118
from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from elt_env.tools.files import sha256_of, write_atomically
from elt_env.tools.prefix import MARKER

Listed = dict[str, str]
"""By path below the prefix: `644 <sha256>` of a file, `-> <target>` of a symbolic link."""


def list_path(prefix: Path) -> Path:
    """Return where the list of a prefix is kept."""
    return prefix.with_name(f".{prefix.name}.files.json")


def list_files(prefix: Path) -> Listed:
    """Return what every file and symbolic link below `prefix` is now, but for its marker."""
    root = os.fspath(prefix)
    return {path: _described(os.path.join(root, path)) for path in sorted(_walk(root))}


def keep_list(prefix: Path, listed: Mapping[str, str]) -> None:
    """Keep the list of a prefix.

    Raises:
        StorageError: the disk is full or not writable.
    """
    write_atomically(list_path(prefix), json.dumps(listed, indent=0) + "\n")


def kept_list(prefix: Path) -> Listed | None:
    """Return the list that was kept for a prefix; None when it is gone or damaged."""
    try:
        content = json.loads(list_path(prefix).read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def _walk(root: str, below: str = "") -> Iterator[str]:
    with os.scandir(os.path.join(root, below)) as entries:
        for entry in entries:
            path = below + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _walk(root, f"{path}/")
            elif path != MARKER:
                yield path


def _described(path: str) -> str:
    found = os.lstat(path)
    if stat.S_ISLNK(found.st_mode):
        return f"-> {os.readlink(path)}"
    return f"{stat.S_IMODE(found.st_mode):o} {sha256_of(Path(path))}"
