"""The project's own part of an image: its directories, their revision, and a date."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from pathlib import Path

from elt_env.environment.scratch_dir import left_out
from elt_env.errors import PolicyError, ToolError
from elt_env.image.oci.layer import LayerWriter
from elt_env.machine.process import clean_environment, run
from elt_env.package.canonical import digest_of
from elt_env.runtime.input_files import read_content

PLACE = "/opt/elt-project"
"""Where the projects live in an image."""

PROJECTS = ("dbt_project", "meltano")

_EPOCH = "SOURCE_DATE_EPOCH"
_GIT_LIMIT = 20.0


def project_files(root: Path) -> tuple[str, ...]:
    """Return the files of the project's directories, relative to `root`, sorted."""
    return tuple(sorted(name for each in PROJECTS for name in _files(root, root / each)))


def _files(root: Path, directory: Path) -> Iterator[str]:
    for place, directories, names in os.walk(directory):
        skipped = left_out(place, [*directories, *names])
        directories[:] = [each for each in directories if each not in skipped]
        for name in names:
            path = Path(place, name)
            if name not in skipped and stat.S_ISREG(path.lstat().st_mode):
                yield path.relative_to(root).as_posix()


def project_digest(root: Path, files: Sequence[str]) -> str:
    """Return a digest over the names, the content and the executable bits of project files."""
    return digest_of(
        [
            [each, hashlib.sha256(read_content(root / each)).hexdigest(), _mode(root / each)]
            for each in files
        ]
    )


def pack_project(root: Path, files: Sequence[str], layer: LayerWriter) -> None:
    """Add project files at their place in an image."""
    layer.directory(PLACE.lstrip("/"))
    for each in files:
        path = root / each
        layer.file(f"{PLACE.lstrip('/')}/{each}", read_content(path), _mode(path))


def _mode(path: Path) -> int:
    return 0o755 if path.lstat().st_mode & 0o100 else 0o644


def source_revision(root: Path) -> str | None:
    """Return the commit that last changed what an image gets from the project.

    `-changed` follows it where the working tree differs; None where there is no git or no commit.
    """
    revision = _git(root, "log", "-1", "--format=%H", "--", *PROJECTS)
    if not revision:
        return None
    changes = _git(root, "status", "--porcelain", "--", *PROJECTS)
    return f"{revision}-changed" if changes else revision


def _git(root: Path, *arguments: str) -> str:
    try:
        done = run(
            ["git", "-C", root, *arguments],
            limit=_GIT_LIMIT,
            env=clean_environment(extra={"GIT_OPTIONAL_LOCKS": "0"}),
        )
    except ToolError:
        return ""
    return "" if done.returncode else done.stdout.strip()


def source_date() -> datetime:
    """Return the moment in SOURCE_DATE_EPOCH, by default the epoch itself.

    https://reproducible-builds.org/specs/source-date-epoch/: an image then does not depend on the
    day it was packed on.

    Raises:
        PolicyError: the variable is not a number of seconds.
    """
    text = os.environ.get(_EPOCH) or "0"
    try:
        return datetime.fromtimestamp(int(text), timezone.utc)
    except (ValueError, OverflowError, OSError) as error:
        raise PolicyError(
            f"{_EPOCH} is '{text}', not a number of seconds since 1970.",
            f"Unset it, or set it as in: {_EPOCH}=$(git log -1 --format=%ct)",
        ) from error
