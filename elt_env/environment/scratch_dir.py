"""Private directories in which tools are tried out: removed after success, kept after failure."""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from elt_env.package.canonical import digest_of, short
from elt_env.runtime.files import remove_abandoned, sha256_of, storage_error, writing

_KEPT = 3 * 24 * 3600.0  # seconds
left_out = shutil.ignore_patterns(
    ".*", "target", "logs", "dbt_packages", "output", "__pycache__", "*.duckdb"
)
"""Returns which names in a project's directory version control and the tools themselves left."""


def digest_of_project(project: Path) -> str:
    """Return the digest of what a copy of a project's directory holds; `absent` without one.

    It depends on paths, contents, links and whether a file can be run, not on time stamps.

    Raises:
        StorageError: a file cannot be read.
    """
    if not project.is_dir():
        return "absent"
    try:
        return digest_of(dict(_described_files(project)))
    except OSError as error:
        raise storage_error(project, str(error), full=False) from error


def _described_files(root: Path) -> Iterator[tuple[str, str]]:
    for directory, names, files in os.walk(root, onerror=_raise):
        here = Path(directory)
        ignored = left_out(directory, [*names, *files])
        names[:] = [each for each in names if each not in ignored]
        for path in (here / each for each in (*files, *names) if each not in ignored):
            if path.is_file():
                kind = "program" if os.access(path, os.X_OK) else "file"
                yield path.relative_to(root).as_posix(), f"{kind} {sha256_of(path)}"
            elif path.is_symlink():
                yield path.relative_to(root).as_posix(), f"link {path.readlink()}"


def _raise(error: OSError) -> None:
    raise error


@dataclass
class ScratchDir:
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
def scratch_dir(home: Path, digest: str) -> Iterator[ScratchDir]:
    """Give the block a new directory below the store's `work`, under the digest of a lock.

    It is removed when the block ends, unless it raises or says that it is to be kept. What was
    kept for three days is removed as well.

    Raises:
        StorageError: the disk is full or not writable.
    """
    root = home / "work"
    remove_abandoned(root.glob("*/*"), _KEPT)
    place = ScratchDir(root / short(digest) / uuid.uuid4().hex)
    with writing(place.path):
        place.path.mkdir(parents=True)
    try:
        yield place
    except BaseException:  # what was interrupted leaves its files for a look as well
        place.kept = True
        raise
    finally:
        if not place.kept:
            shutil.rmtree(place.path, ignore_errors=True)
