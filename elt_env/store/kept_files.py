"""Files that are kept by their sha256."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elt_env.runtime.files import sha256_of, writing
from elt_env.store.last_use import mark_used


@dataclass(frozen=True)
class KeptFiles:
    """A directory of files, `<sha256>/<file name>`; it is made when needed."""

    root: Path

    def find(self, name: str, sha256: str) -> Path | None:
        """Return the file of that name and sha256 where it is kept, whole; else None.

        It is marked as used.
        """
        path = self.root / sha256 / name
        whole = mark_used(path.parent) and path.is_file() and sha256_of(path) == sha256
        return path if whole else None

    @contextlib.contextmanager
    def adding(self, name: str, sha256: str) -> Iterator[Path]:
        """Yield where to write a file, which is kept when the block ends well.

        The block makes sure that it has that sha256.

        Raises:
            StorageError: it cannot be kept.
        """
        path = self.root / sha256 / name
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent, prefix=".part-") as place:
                part = Path(place) / name
                yield part
                part.replace(path)
