"""Conda packages of every form that is in channels: old ones, links, and files with a prefix."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from conda_package_streaming.create import conda_builder

Form = Literal["conda", "tar.bz2"]
PREFIX = "/opt/build_env_" + "placehold_" * 20 + "x"
"""Stands in files for the prefix that they are linked into; 216 characters."""


def make_archive(
    channel_root: Path,
    name: str,
    version: str,
    files: Mapping[str, str | bytes],
    *,
    build: str = "0",
    subdir: str = "noarch",
    depends: Sequence[str] = ("python",),
    noarch: Literal["python", "generic"] | None = None,
    links: Mapping[str, str] | None = None,
    entry_points: Sequence[str] = (),
    form: Form = "conda",
    listed: Literal["paths.json", "files"] = "paths.json",
) -> Path:
    """Write a package into a channel, which has to be indexed afterwards; return its path.

    Args:
        files: content by path; for `noarch="python"` below `site-packages/` what is imported. Where
            it holds PREFIX, the prefix is put in; one with a NUL byte is binary.
        links: targets of symbolic links by their path.
        entry_points: `script = module:function`; only for `noarch="python"`.
        form: of the archive.
        listed: whether the package lists its files in `info/paths.json` (CEP 34), or as before
            conda 4.3 in `info/files`, with `info/has_prefix`.
    """
    content = {path: _bytes(data) for path, data in files.items()}
    index: dict[str, Any] = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": 0,
        "subdir": subdir,
        "depends": list(depends),
    }
    if noarch or subdir == "noarch":
        index["noarch"] = noarch or "generic"
    info = {"info/index.json": json.dumps(index).encode()}
    if noarch == "python":
        point = {"noarch": {"type": "python", "entry_points": list(entry_points)}}
        info["info/link.json"] = json.dumps({**point, "package_metadata_version": 1}).encode()
    lists = _paths_json if listed == "paths.json" else _files
    info |= lists(content, links or {})
    stem = f"{name}-{version}-{build}"
    return _write(channel_root / subdir, stem, info | content, links or {}, form)


def _bytes(data: str | bytes) -> bytes:
    return data.encode() if isinstance(data, str) else data


def _mode(data: bytes) -> str:
    return "binary" if b"\0" in data else "text"


def _paths_json(content: Mapping[str, bytes], links: Mapping[str, str]) -> dict[str, bytes]:
    entries: list[dict[str, Any]] = []
    for path, data in content.items():
        entry = {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
        }
        if PREFIX.encode() in data:
            entry |= {"prefix_placeholder": PREFIX, "file_mode": _mode(data)}
        entries.append(entry)
    for path, target in links.items():
        # As conda-build notes them: by what they lead to.
        data = content.get(str(Path(path).parent / target), b"")
        digest = hashlib.sha256(data).hexdigest()
        size = len(data)
        entries.append(
            {"_path": path, "path_type": "softlink", "sha256": digest, "size_in_bytes": size}
        )
    return {"info/paths.json": json.dumps({"paths": entries, "paths_version": 1}).encode()}


def _files(content: Mapping[str, bytes], links: Mapping[str, str]) -> dict[str, bytes]:
    placed = [
        f'"{PREFIX}" {_mode(data)} "{path}"\n'
        for path, data in content.items()
        if PREFIX.encode() in data
    ]
    lists = {"info/files": "".join(f"{each}\n" for each in [*content, *links]).encode()}
    return lists | ({"info/has_prefix": "".join(placed).encode()} if placed else {})


def _write(
    directory: Path, stem: str, content: Mapping[str, bytes], links: Mapping[str, str], form: Form
) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{stem}.{form}"
    path.unlink(missing_ok=True)
    if form == "tar.bz2":
        with tarfile.open(path, "w:bz2") as archive:
            _fill(archive.addfile, content, links)
    else:
        with conda_builder(stem, directory, compression_level=1) as archive:
            _fill(archive.addfile, content, links)
    return path


def _fill(add: Any, content: Mapping[str, bytes], links: Mapping[str, str]) -> None:
    for member, data in content.items():
        entry = tarfile.TarInfo(member)
        entry.size = len(data)
        entry.mode = 0o755 if member.startswith("bin/") else 0o644
        add(entry, io.BytesIO(data))
    for member, target in links.items():
        entry = tarfile.TarInfo(member)
        entry.type, entry.linkname = tarfile.SYMTYPE, target
        add(entry)
