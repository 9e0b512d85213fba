"""The contents of a conda package, read from its archive: its paths and its distributions."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import rattler
from rattler.package_streaming import PackageArchive

from elt_env.package.names import normalize
from elt_env.runtime.limits import load_json

ARCHIVE_ERRORS = (OSError, ValueError, LookupError, TypeError)
"""What is raised for an archive that cannot be read, or that is none."""

_DIST_INFO = re.compile(r"(?P<name>.+)-(?P<version>[^-]+)\.dist-info")
_EGG_INFO = re.compile(r"(?P<name>.+?)-(?P<version>[^-]+)(?:-py3\.\d+)?\.egg-info")
METADATA_FILES = {"METADATA": _DIST_INFO, "PKG-INFO": _EGG_INFO}
_ENDS = (*METADATA_FILES, ".egg-info")


async def paths_of(record: rattler.RepoDataRecord, client: rattler.Client) -> tuple[str, ...]:
    """Return the paths of every file in a conda package's archive.

    Of a remote `.conda` archive only its `info` part is read.

    Raises:
        OSError, ValueError, LookupError, TypeError: the archive cannot be read, or is none.
    """
    return tuple(await listed_paths(await open_archive(record.url, client)))


async def open_archive(url: str, client: rattler.Client) -> PackageArchive:
    """Return the archive of a conda package, to be read in parts.

    Raises:
        OSError: it cannot be had.
    """
    address = urlsplit(url)
    if address.scheme == "file":
        return await PackageArchive.from_path(Path(unquote(address.path)))
    return await PackageArchive.from_url(client, url)


async def listed_paths(archive: PackageArchive) -> list[str]:
    """Return the paths that `info/paths.json` (CEP 34) lists, or else the `info/files` before it.

    Raises:
        ValueError: neither is there, or it cannot be read.
    """
    return list(await listed_hashes(archive))


async def listed_hashes(archive: PackageArchive) -> dict[str, str]:
    """Return the same paths with the sha256 of each, "" where it is not told.

    Raises:
        ValueError: as `listed_paths`.
    """
    # One after the other: a `.tar.bz2` is unpacked up to the last that was asked for.
    paths = await archive.read_file("info/paths.json")
    if paths is not None:
        entries = load_json(paths)["paths"]
        return {str(each["_path"]): str(each.get("sha256") or "") for each in entries}
    files = await archive.read_file("info/files")
    if files is None:
        raise ValueError("it has neither info/paths.json nor info/files")
    return dict.fromkeys(files.decode().splitlines(), "")


def distributions_in(paths: Iterable[str]) -> tuple[tuple[str, str], ...]:
    """Return the (name, version) of the distributions whose metadata is among `paths`, sorted.

    A metadata directory is `{name}-{version}.dist-info`, the version escaped so that it holds no
    hyphen; so should be the name, but some tools leave hyphens in it
    (https://packaging.python.org/en/latest/specifications/recording-installed-packages/).
    One below another package, vendored, is not an installed distribution. Where a distribution has
    an `.egg-info` as well, the `.dist-info` holds.
    """
    found: dict[bool, dict[str, str]] = {True: {}, False: {}}
    for each in paths:
        if not each.endswith(_ENDS):  # a package may have many thousands
            continue
        path = PurePosixPath(each)
        pattern = METADATA_FILES.get(path.name)
        parent = path.parent
        if pattern is None and path.suffix == ".egg-info":
            pattern, parent = _EGG_INFO, path
        match = pattern.fullmatch(parent.name) if pattern else None
        if match and parent.parent.name == "site-packages":
            version = match["version"].replace("_", "-")
            found[pattern is _DIST_INFO][normalize(match["name"])] = version
    return tuple(sorted((found[False] | found[True]).items()))
