"""Read lock files of other tools, each by its format."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from elt_env.errors import InputError
from elt_env.lockfile.foreign import (
    conda_lock,
    explicit,
    pipfile_lock,
    pixi_lock,
    poetry_lock,
    pylock,
    requirements,
    uv_lock,
)
from elt_env.lockfile.foreign.document import Select
from elt_env.runtime.input_files import cause, read_text
from elt_env.runtime.limits import MOST_LOCK_BYTES

_Read = Callable[[str, str], Select]


@dataclass(frozen=True)
class LockFile:
    """A lock file that was read, and is what its format wants.

    Attributes:
        has_conda: whether its format has a conda half.
        select: returns what is wanted of it.
    """

    path: Path
    has_conda: bool
    select: Select


# By the names that the tools give them; whatever has another is told by what is in it.
_NAMED: tuple[tuple[str, bool, _Read], ...] = (
    ("pylock*.toml", False, pylock.read),
    ("uv.lock", False, uv_lock.read),
    ("poetry.lock", False, poetry_lock.read),
    ("Pipfile.lock", False, pipfile_lock.read),
    ("pixi*.lock", True, pixi_lock.read),
    ("*conda-lock*.y*ml", True, conda_lock.read),
)
NAMES = tuple(name for name, _, _ in _NAMED)
"""Patterns of the names of lock files."""

_FORMATS = (
    "@EXPLICIT files of conda, conda-lock.yml, pixi.lock, pylock.toml, uv.lock, poetry.lock, "
    "Pipfile.lock, requirements.txt with hashes"
)


_EXPORTED = {"pdm.lock": "pdm export -f pylock -o pylock.toml"}
"""Lock files of other formats, and the commands that write them as ones that are read."""


def open_lock_files(paths: Iterable[Path]) -> tuple[LockFile, ...]:
    """Return the lock files at paths, those with a conda half first.

    Raises:
        InputError: one cannot be read, is of no format that can be, or not what it wants.
    """
    found = [_open(each) for each in dict.fromkeys(paths)]
    return tuple(sorted(found, key=lambda each: not each.has_conda))


def _open(path: Path) -> LockFile:
    try:
        text = read_text(path, MOST_LOCK_BYTES).removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"The lock file {path} cannot be read: {cause(error)}.", "Name a file that is there."
        ) from error
    for pattern, has_conda, read in _NAMED:
        if fnmatch(path.name, pattern):
            return LockFile(path, has_conda, read(text, str(path)))
    if explicit.is_explicit(text):
        return LockFile(path, has_conda=True, select=explicit.read(text, str(path)))
    is_rye = fnmatch(path.name, "requirements*.lock")
    if "--hash" in text or is_rye or path.suffix in (".txt", ".in"):
        return LockFile(path, has_conda=False, select=requirements.read(text, str(path)))
    if path.name in _EXPORTED:
        raise InputError(
            f"{path} is a lock file of a format that is not read.",
            f"Let its tool write it as one that is, and adopt that: {_EXPORTED[path.name]}",
        )
    remedy = f"Name one of these: {_FORMATS}; under the name that its tool gives it."
    if path.suffix in (".yml", ".yaml"):
        remedy += f" A spec is locked by: elt-env build {path}"
    raise InputError(f"{path} is no lock file of a known format.", remedy)
