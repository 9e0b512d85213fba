"""Writes conda packages (`.conda`), the same bytes for the same content at any time and place."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import posixpath
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from shutil import copyfileobj
from typing import Any

from conda_package_streaming.create import conda_builder

PLACEHOLDER = ("/opt/host_channel" + "_placehold" * 30)[:255]
"""Stands for the prefix in text files; the installer puts the prefix in its place."""

RECIPE = 2
"""Part of every build string; raise it when the same input shall become another package."""

_UNDATED = datetime(1980, 1, 2, tzinfo=timezone.utc)
# A number of threads, even one, makes zstd cut the input into jobs at fixed places; the output is
# then the same for any number of threads, but not the same as without threads.
_ZSTD_LEVEL = 3
_ZSTD_THREADS = 2


@dataclass(frozen=True)
class Entry:
    """One file of a package.

    Attributes:
        path: relative to the prefix (or to the package root of a noarch package), with `/`.
        content: the bytes; empty for a link.
        executable: whether the mode is 0755, not 0644.
        link: the target of a symbolic link, or "".
    """

    path: str
    content: bytes = b""
    executable: bool = False
    link: str = ""

    @property
    def relocated(self) -> bool:
        """Whether the installer has to put the prefix in."""
        return PLACEHOLDER.encode() in self.content


@dataclass(frozen=True)
class PackageInfo:
    """What a package says of itself.

    Attributes:
        subdir: `noarch`, or the platform as in `linux-64`.
        noarch: `python`, `generic`, or "" for a platform's own package.
        timestamp: when it was made; None leaves it out.
        entry_points: console scripts of a `noarch: python` package, as in `pip = pip.cli:main`.
        site_packages: where this package, a Python, has its site-packages (CEP 17), or "".
    """

    name: str
    version: str
    build: str
    subdir: str
    noarch: str = ""
    build_number: int = 0
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    timestamp: datetime | None = None
    license: str = ""
    summary: str = ""
    home: str = ""
    entry_points: tuple[str, ...] = ()
    site_packages: str = ""

    @property
    def stem(self) -> str:
        """The file name without `.conda`."""
        return f"{self.name}-{self.version}-{self.build}"


def write_package(info: PackageInfo, entries: Iterable[Entry], folder: Path) -> Path:
    """Write a package into `folder` and return its path, `folder/{stem}.conda`.

    The bytes depend on `info` and `entries` alone: members are written in the order given, with
    one date and owner. The format:
    https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html
    """
    parts = folder / "parts"
    parts.mkdir()
    with conda_builder(
        info.stem, parts, compression_level=_ZSTD_LEVEL, compression_threads=_ZSTD_THREADS
    ) as archive:
        paths = _add_files(archive, entries, info.timestamp)
        for name, content in _info_files(info, paths).items():
            _add(archive, Entry(f"info/{name}", content), info.timestamp)
    package = folder / f"{info.stem}.conda"
    _copy_undated(parts / package.name, package)
    return package


def _add_files(
    archive: tarfile.TarFile, entries: Iterable[Entry], date: datetime | None
) -> list[dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    links: dict[str, str] = {}
    for entry in entries:
        _add(archive, entry, date)
        paths[entry.path] = _path(entry)
        if entry.link:
            links[entry.path] = posixpath.normpath(
                posixpath.join(posixpath.dirname(entry.path), entry.link)
            )
    for path, target in links.items():
        # conda-build records a link by the content it leads to.
        paths[path].update({key: paths[target][key] for key in ("sha256", "size_in_bytes")})
    return sorted(paths.values(), key=lambda each: str(each["_path"]))


def _path(entry: Entry) -> dict[str, Any]:
    described: dict[str, Any] = {
        "_path": entry.path,
        "path_type": "softlink" if entry.link else "hardlink",
        "sha256": hashlib.sha256(entry.content).hexdigest(),
        "size_in_bytes": len(entry.content),
    }
    if entry.relocated:
        described |= {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"}
    return described


def _add(archive: tarfile.TarFile, entry: Entry, date: datetime | None) -> None:
    member = tarfile.TarInfo(entry.path)
    member.mtime = int((date or _UNDATED).timestamp())
    member.mode = 0o755 if entry.executable else 0o644
    if entry.link:
        member.type = tarfile.SYMTYPE
        member.linkname = entry.link
        member.mode = 0o777
    member.size = len(entry.content)
    archive.addfile(member, io.BytesIO(entry.content))


def _info_files(info: PackageInfo, paths: list[dict[str, Any]]) -> Mapping[str, bytes]:
    files = {
        "about.json": _json({"home": info.home, "license": info.license, "summary": info.summary}),
        "files": "".join(f"{each['_path']}\n" for each in paths).encode(),
        "index.json": _json(_index(info)),
        "paths.json": _json({"paths": paths, "paths_version": 1}),
    }
    if info.noarch == "python":
        noarch = {"type": "python", "entry_points": list(info.entry_points)}
        files["link.json"] = _json({"noarch": noarch, "package_metadata_version": 1})
    return files


def _index(info: PackageInfo) -> dict[str, Any]:
    """Return the package's own record, which the index repeats."""
    platform, _, bits = info.subdir.partition("-")
    index: dict[str, Any] = {
        "arch": {"64": "x86_64"}.get(bits, bits) or None,
        "build": info.build,
        "build_number": info.build_number,
        "constrains": list(info.constrains),
        "depends": list(info.depends),
        "license": info.license,
        "name": info.name,
        "platform": platform if bits else None,
        "subdir": info.subdir,
        "version": info.version,
    }
    if info.noarch:
        index["noarch"] = info.noarch
    if info.timestamp is not None:
        index["timestamp"] = int(info.timestamp.timestamp() * 1000)
    if info.site_packages:
        index["python_site_packages_path"] = info.site_packages
    return index


def _json(content: object) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"


def _copy_undated(made: Path, package: Path) -> None:
    """Copy an archive member by member; conda_builder dates them with the present time."""
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(package, "w") as target:
        for member in source.infolist():
            undated = zipfile.ZipInfo(member.filename)
            undated.external_attr = 0o644 << 16
            undated.file_size = member.file_size
            with source.open(member) as reader, target.open(undated, "w") as writer:
                copyfileobj(reader, writer)


def record_hash(content: bytes) -> str:
    """Return the hash of a file as RECORD writes it (PEP 376)."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
    return "sha256=" + digest.rstrip(b"=").decode()
