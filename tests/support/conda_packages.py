"""Tiny real conda packages."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from conda_package_streaming.create import conda_builder

from tests.support.wheels import (
    console_scripts,
    core_metadata,
    default_files,
    escaped,
    record,
)

Noarch = Literal["python", "generic"]
PLACEHOLDER = "/opt/build/" + "_placehold" * 20
"""The prefix that a package was built in; in a file that is no bytecode, linking replaces it."""


def make_conda_package(
    channel_root: Path,
    name: str,
    version: str,
    *,
    build: str = "0",
    build_number: int = 0,
    subdir: str = "noarch",
    depends: Sequence[str] = (),
    constrains: Sequence[str] = (),
    files: Mapping[str, str | bytes] | None = None,
    noarch: Noarch | None = None,
    timestamp: datetime | None = None,
    entry_points: Sequence[str] = (),
    times: Mapping[str, int] | None = None,
) -> Path:
    """Write a `.conda` archive into a channel, in place of one of that name, and return its path.

    The channel has to be indexed afterwards.

    Args:
        files: content by path in the prefix; for `noarch="python"` below `site-packages/`.
        noarch: None means generic in the subdir noarch, and no noarch package elsewhere.
        entry_points: `script = module:function`; only for `noarch="python"`.
        times: when files were changed, by their path, in seconds since 1970; 0 for all others.
    """
    kind = noarch or ("generic" if subdir == "noarch" else None)
    stem = f"{name}-{version}-{build}"
    index: dict[str, Any] = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": build_number,
        "subdir": subdir,
        "depends": list(depends),
        "constrains": list(constrains),
    }
    if kind:
        index["noarch"] = kind
    if timestamp is not None:
        index["timestamp"] = int(timestamp.timestamp() * 1000)
    content = {
        path: data.encode() if isinstance(data, str) else data
        for path, data in (files or {}).items()
    }
    info: dict[str, Any] = {"index.json": index, "paths.json": _paths(content)}
    if kind == "python":
        info["link.json"] = _link(entry_points)
    content |= {f"info/{file}": json.dumps(data, indent=1).encode() for file, data in info.items()}
    return _write(channel_root / subdir, stem, content, times or {})


def make_conda_distribution(
    channel_root: Path,
    name: str,
    version: str,
    *,
    package: str | None = None,
    requires: Sequence[str] = (),
    depends: Sequence[str] = ("python",),
    files: Mapping[str, str | bytes] | None = None,
    scripts: Mapping[str, str] | None = None,
    build: str = "0",
    timestamp: datetime | None = None,
    times: Mapping[str, int] | None = None,
) -> Path:
    """Write a `noarch: python` package that carries one Python distribution; return its path.

    Args:
        name, version: of the distribution.
        package: the conda package's name; None means the distribution's.
        requires: what the distribution's metadata ask for (PEP 508).
        depends: what the conda package asks for.
        files: content by path in site-packages; None gives a package with `__version__`.
        scripts: `module:function` by script name.
        times: when files were changed, by their path in site-packages, in seconds since 1970.
    """
    info = f"{escaped(name)}-{version}.dist-info"
    content = {
        path: data.encode() if isinstance(data, str) else data
        for path, data in (default_files(name, version) if files is None else files).items()
    }
    content[f"{info}/METADATA"] = core_metadata(name, version, requires).encode()
    content[f"{info}/INSTALLER"] = b"conda\n"
    if scripts:
        content[f"{info}/entry_points.txt"] = console_scripts(scripts).encode()
    content[f"{info}/RECORD"] = record(content, f"{info}/RECORD").encode()
    return make_conda_package(
        channel_root,
        package or escaped(name).replace("_", "-"),
        version,
        build=build,
        depends=depends,
        files={f"site-packages/{path}": data for path, data in content.items()},
        noarch="python",
        timestamp=timestamp,
        times={f"site-packages/{path}": time for path, time in (times or {}).items()},
        entry_points=[f"{script} = {function}" for script, function in (scripts or {}).items()],
    )


def _paths(content: Mapping[str, bytes]) -> dict[str, Any]:
    """Return the content of `info/paths.json` (CEP 34)."""
    entries = [
        {
            "_path": path,
            "path_type": "hardlink",
            "sha256": hashlib.sha256(data).hexdigest(),
            "size_in_bytes": len(data),
            **_placed(path, data),
        }
        for path, data in content.items()
    ]
    return {"paths": entries, "paths_version": 1}


def _placed(path: str, data: bytes) -> dict[str, str]:
    # conda-build looks for no prefix in bytecode.
    if path.endswith(".pyc") or PLACEHOLDER.encode() not in data:
        return {}
    return {"prefix_placeholder": PLACEHOLDER, "file_mode": "text"}


def _link(entry_points: Sequence[str]) -> dict[str, Any]:
    noarch = {"type": "python", "entry_points": list(entry_points)}
    return {"noarch": noarch, "package_metadata_version": 1}


def _write(
    directory: Path, stem: str, content: Mapping[str, bytes], times: Mapping[str, int]
) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{stem}.conda"
    path.unlink(missing_ok=True)
    with conda_builder(stem, directory, compression_level=1) as archive:
        for member, data in content.items():
            entry = tarfile.TarInfo(member)
            entry.size = len(data)
            entry.mtime = times.get(member, 0)
            archive.addfile(entry, io.BytesIO(data))
    return path
