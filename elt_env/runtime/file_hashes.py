"""Hashes of files that are asked for again and again, and of which each is read once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from elt_env.runtime.files import sha256_of

HashOf = Callable[[str | Path], str]
"""What returns the sha256 of a file, as `sha256_of` does."""


class FileHashes:
    """What is known of the files of one build.

    A file is read again when its state is another one. Part of it is the time of the last change
    of anything about the file (ctime), which a program cannot set: a content that was changed is
    noticed, whatever times it was given afterwards. Links to one file are one file.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[int, int], tuple[tuple[int, int, int], str]] = {}

    def sha256_of(self, path: str | Path) -> str:
        """Return the sha256 of a file; see `elt_env.runtime.files.sha256_of`.

        Raises:
            OSError: it cannot be read, or is no file.
        """
        found = os.stat(path)  # noqa: PTH116  # tens of thousands
        name = found.st_dev, found.st_ino
        state = found.st_size, found.st_mtime_ns, found.st_ctime_ns
        known = self._known.get(name)
        if known is None or known[0] != state:
            known = self._known[name] = state, sha256_of(path)
        return known[1]
