"""Compare an unpacked conda package in a cache with the package's archive.

Linking compares the files of a cached package with the hashes in its own `info/paths.json`. Whoever
can write into the cache can change both. So what linking reads in `info/` has to be, byte for byte,
what lies in the archive, whose hash is in the lock.
"""

from __future__ import annotations

import hashlib
import posixpath
from pathlib import Path
from typing import Any

from rattler.package_streaming import PackageArchive

from elt_env.lockfile.document import Package
from elt_env.runtime.files import sha256_of
from elt_env.runtime.input_files import read_stored
from elt_env.runtime.limits import load_json

_PATHS = "info/paths.json"
_READ = (_PATHS, "info/index.json")
_LINK = "info/link.json"
_NOTHING = hashlib.sha256().hexdigest()


def unpacked(cache: Path, package: Package) -> list[Path]:
    """Return the directories that a cache has for a package."""
    name = f"{package.name}-{package.version}-{package.build}"
    there = cache.iterdir() if cache.is_dir() else iter(())
    return [
        each
        for each in there
        if each.name.startswith(name) and each.name[len(name) :][:1] in {"", "-"} and each.is_dir()
    ]


async def is_as_archived(directory: Path, archive: Path, package: Package) -> bool:
    """Tell whether linking finds in an unpacked package what its archive holds.

    Linking itself hashes every file. It neither looks where a symbolic link leads, nor hashes files
    in packages from before `info/paths.json`; what cannot be told counts as other.

    Raises:
        OSError, ValueError, LookupError, TypeError: the archive cannot be read, or is none.
    """
    names = [*_READ, _LINK] if package.conda and package.conda.noarch == "python" else [*_READ]
    wanted = await (await PackageArchive.from_path(archive)).read_files(names)
    listed = wanted[_PATHS]
    if listed is None or any(_content(directory / name) != wanted[name] for name in names):
        return False
    return all(_is_hashed(directory, entry) for entry in load_json(listed)["paths"])


def _content(path: Path) -> bytes | None:
    return read_stored(path) if path.is_file() else None


def _is_hashed(directory: Path, entry: dict[str, Any]) -> bool:
    """Tell whether a file will be compared with its hash, and a link leads to what it was to."""
    kind, wanted = entry.get("path_type"), entry.get("sha256")
    if kind != "softlink":
        return bool(wanted) or kind == "directory"
    path: str = entry["_path"]
    link = directory / path
    target = str(link.readlink()) if link.is_symlink() else "/"
    place = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if place.startswith(("/", "../")) or not (directory / place).is_file():
        return False
    return wanted != _NOTHING and sha256_of(directory / place) == wanted
