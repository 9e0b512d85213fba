"""Private directories in which tools are tried out: removed after success, kept after failure."""

from __future__ import annotations

import contextlib
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elt_env.model.canonical import short
from elt_env.tools.files import remove_abandoned, writing

_KEPT = 3 * 24 * 3600.0  # seconds
left_out = shutil.ignore_patterns(
    ".*", "target", "logs", "dbt_packages", "output", "__pycache__", "*.duckdb"
)
"""Returns which names in a project's directory version control and the tools themselves left."""


@dataclass
class Workplace:
    """A directory of one run.

    Attributes:
        path: the directory; absolute.
        kept: whether it is left there for a person to look at.
    """

    path: Path
    kept: bool = False

    def copy_of(self, project: Path) -> Path:
        """Return a copy of a project's directory, without what tools left in it before.

        Raises:
            StorageError: the disk is full or not writable.
        """
        with writing(self.path):
            return shutil.copytree(project, self.path / project.name, ignore=left_out)

    def directory(self, name: str) -> Path:
        """Return a directory of that name in it, made if need be.

        Raises:
            StorageError: the disk is full or not writable.
        """
        path = self.path / name
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
        return path


@contextlib.contextmanager
def workplace(home: Path, digest: str) -> Iterator[Workplace]:
    """Give the block a new directory below the store's `work`, under the digest of a lock.

    It is removed when the block ends, unless it raises or says that it is to be kept. What was
    kept for three days is removed as well.

    Raises:
        StorageError: the disk is full or not writable.
    """
    root = home / "work"
    remove_abandoned(root.glob("*/*"), _KEPT)
    place = Workplace(root / short(digest) / uuid.uuid4().hex)
    with writing(place.path):
        place.path.mkdir(parents=True)
    try:
        yield place
    except BaseException:
        place.kept = True
        raise
    finally:
        if not place.kept:
            shutil.rmtree(place.path, ignore_errors=True)
