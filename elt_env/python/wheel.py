"""Reads wheels (PEP 427)."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from packaging.metadata import RawMetadata, parse_email
from packaging.requirements import InvalidRequirement
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version

from elt_env.errors import IntegrityError
from elt_env.package.names import normalize
from elt_env.python.entry_points import EntryPoint, parse_entry_points

_ENCRYPTED = 1


@dataclass(frozen=True)
class Wheel:
    """A wheel that was opened; its files are read from `archive` one at a time.

    Attributes:
        name: the distribution's normalized name.
        version: the normalized version.
        dist_info: the name of the `.dist-info` directory.
        data: the name of the `.data` directory, there or not.
        files: the members, sorted by name, directories left out.
    """

    path: Path
    archive: zipfile.ZipFile
    name: str
    version: str
    tags: frozenset[Tag]
    metadata: RawMetadata
    dist_info: str
    data: str
    files: tuple[zipfile.ZipInfo, ...]
    entry_points: tuple[EntryPoint, ...]

    def read(self, member: zipfile.ZipInfo) -> bytes:
        """Return a member's content."""
        return self.archive.read(member)


@contextlib.contextmanager
def open_wheel(path: Path) -> Iterator[Wheel]:
    """Open a wheel; what turns out to be broken while it is used ends the block as well.

    Raises:
        IntegrityError: the file is not a wheel, or a damaged one.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            yield _wheel(path, archive)
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,  # covers InvalidVersion, InvalidSpecifier, UnicodeDecodeError
        InvalidRequirement,
        InvalidWheelFilename,
        NotImplementedError,
    ) as error:
        raise _broken(path, str(error)) from error


def _broken(path: Path, cause: str) -> IntegrityError:
    return IntegrityError(
        f"{path} is not a usable wheel: {cause}.",
        "Delete it, so that it is downloaded again.",
    )


def _wheel(path: Path, archive: zipfile.ZipFile) -> Wheel:
    name, _, _, tags = parse_wheel_filename(path.name)
    files = _files(archive)
    dist_info = _dist_info(files, name)
    metadata, _ = parse_email(_text(archive, f"{dist_info}/METADATA"))
    if normalize(metadata.get("name", "")) != name:
        raise ValueError(f"its metadata is of '{metadata.get('name', '')}'")
    points = f"{dist_info}/entry_points.txt"
    declared = points in archive.namelist()
    return Wheel(
        path=path,
        archive=archive,
        name=name,
        version=str(Version(metadata.get("version", ""))),
        tags=tags,
        metadata=metadata,
        dist_info=dist_info,
        data=dist_info.removesuffix(".dist-info") + ".data",
        files=files,
        entry_points=parse_entry_points(_text(archive, points)) if declared else (),
    )


def _text(archive: zipfile.ZipFile, name: str) -> str:
    try:
        return archive.read(name).decode()
    except KeyError as error:
        raise ValueError(f"it has no {name}") from error


def _files(archive: zipfile.ZipFile) -> tuple[zipfile.ZipInfo, ...]:
    files = sorted((each for each in archive.infolist() if not each.is_dir()), key=_name)
    names = [each.filename for each in files]
    for name in names:
        if name.startswith("/") or "\\" in name or ".." in PurePosixPath(name).parts:
            raise ValueError(f"'{name}' would be written outside of the prefix")
    if any(each.flag_bits & _ENCRYPTED for each in files):
        raise ValueError("it is encrypted")
    if len(set(names)) != len(names):
        raise ValueError("it holds two files of one name")
    return tuple(files)


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename


def _dist_info(files: tuple[zipfile.ZipInfo, ...], name: str) -> str:
    """Return the one `.dist-info` directory of the distribution `name`."""
    tops = {each.filename.partition("/")[0] for each in files}
    found = [
        top
        for top in sorted(tops)
        if top.endswith(".dist-info")
        and normalize(top.removesuffix(".dist-info").rpartition("-")[0]) == name
    ]
    if len(found) != 1:
        raise ValueError(f"it has {len(found)} directories {name}-*.dist-info, not one")
    return found[0]
