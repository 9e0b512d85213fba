"""Conda packages as rattler's records and as those of a lock."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import rattler
from rattler.package.build_string import BuildString

from elt_env.conda.channels import channel_of
from elt_env.conda.distributions import distributions_in
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import CondaDetail, Package
from elt_env.machine.activation import is_link_script
from elt_env.runtime.files import write_atomically, writing
from elt_env.runtime.input_files import read_stored
from elt_env.runtime.limits import load_json

_PYC = "pyc_file"


def to_package(
    record: rattler.RepoDataRecord, paths: tuple[str, ...], requested: set[str]
) -> Package:
    """Return a record as a lock has it, with what the paths of its files tell.

    Raises:
        IntegrityError: the channel gives no sha256 for it.
    """
    name = record.name.normalized
    detail = CondaDetail(
        subdir=record.subdir,
        build_number=record.build_number,
        noarch="python" if record.noarch.python else "generic" if record.noarch.generic else None,
        depends=tuple(record.depends),
        constrains=tuple(record.constrains),
        license=record.license,
        md5=record.md5.hex() if record.md5 else None,
        python_site_packages_path=record.python_site_packages_path,
        distributions=distributions_in(paths),
        scripts=tuple(sorted(filter(is_link_script, paths))),
    )
    if record.sha256 is None:
        raise IntegrityError(
            f"The channel gives no sha256 for {record.file_name}, so it cannot be locked.",
            "Ask the channel's owner to index it anew.",
        )
    return Package(
        manager="conda",
        name=name,
        version=str(record.version),
        url=record.url,
        sha256=record.sha256.hex(),
        build=str(record.build),
        size=record.size,
        released_at=as_utc(record.timestamp),
        requested=name in requested,
        conda=detail,
    )


def as_utc(moment: datetime | None) -> datetime | None:
    """Return a moment in UTC; one without a time zone is taken to be in UTC."""
    if moment is None:
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=timezone.utc)
    return moment.astimezone(timezone.utc)


def dated(record: rattler.RepoDataRecord) -> datetime | None:
    """Return the date that a cut-off looks at: when the channel got a package, else its build."""
    return as_utc(record.indexed_timestamp or record.timestamp)


def to_record(package: Package) -> rattler.RepoDataRecord:
    """Return a conda package of a lock as rattler's record."""
    detail = package.conda
    if detail is None:
        raise ValueError(f"{package.name} is not a conda package")
    inner = rattler.PackageRecord(
        name=package.name,
        version=package.version,
        build=BuildString(package.build or ""),
        build_number=detail.build_number,
        subdir=detail.subdir,
        noarch=detail.noarch,
        depends=list(detail.depends),
        constrains=list(detail.constrains),
        sha256=bytes.fromhex(package.sha256),
        md5=bytes.fromhex(detail.md5) if detail.md5 else None,
        size=package.size,
        license=detail.license,
        python_site_packages_path=detail.python_site_packages_path,
    )
    if package.released_at is not None:
        inner.timestamp = package.released_at
    channel = channel_of(package.url)
    return rattler.RepoDataRecord(inner, package.file_name, package.url, channel)


def settle_records(prefix: Path, packages: Iterable[Package], requested: Collection[str]) -> None:
    """Let what conda itself linked, and the records of it, be as rattler leaves them.

    conda compiles modules, which is done later and alike for all packages, and it writes the paths
    of `noarch: python` packages as their archives have them, and those as their sources.

    Args:
        prefix: where it linked.
        packages: all packages in it.
        requested: the names of those that were asked for.

    Raises:
        StorageError: it cannot be written.
    """
    found = next(iter(prefix.glob("lib/python3*/site-packages")), prefix / "site-packages")
    modules = found.relative_to(prefix).as_posix()
    for each in packages:
        path = _record_path(prefix, each)
        content = load_json(read_stored(path))
        settled = [_settled(entry, prefix, modules) for entry in content["paths_data"]["paths"]]
        for entry in settled:
            if entry["path_type"] == _PYC:
                _remove_compiled(prefix / entry["_path"])
        kept = [entry for entry in settled if entry["path_type"] != _PYC]
        content["paths_data"]["paths"] = sorted(kept, key=_place_of)
        content["files"] = [entry["_path"] for entry in content["paths_data"]["paths"]]
        content |= {"url": each.url, "channel": channel_of(each.url)}
        content["requested_specs"] = [each.name] if each.name in requested else []
        if each.conda and each.conda.python_site_packages_path:
            content["python_site_packages_path"] = each.conda.python_site_packages_path
        for key in ("package_tarball_full_path", "package_type", "requested_spec"):
            content.pop(key, None)
        write_atomically(path, json.dumps(content))
        rattler.PrefixRecord.from_path(path).write_to_path(path, pretty=True)


def _place_of(entry: Mapping[str, Any]) -> list[str]:
    parts: list[str] = entry["_path"].split("/")
    return parts


def _remove_compiled(path: Path) -> None:
    """Remove bytecode; conda records what it compiles, and goes on where that does not compile."""
    with writing(path):
        path.unlink(missing_ok=True)
        if path.parent.is_dir() and not any(path.parent.iterdir()):
            path.parent.rmdir()


def _settled(entry: dict[str, Any], prefix: Path, modules: str) -> dict[str, Any]:
    path: str = entry["_path"]
    for short, whole in (("site-packages/", f"{modules}/"), ("python-scripts/", "bin/")):
        if path.startswith(short):
            path = whole + path.removeprefix(short)
    is_told = entry.get("sha256_in_prefix") == entry.get("sha256")
    gone = ("sha256_in_prefix",) if is_told or entry["path_type"] == "softlink" else ()
    settled = {key: value for key, value in entry.items() if key not in gone} | {"_path": path}
    if "prefix_placeholder" in entry:
        settled["size_in_bytes"] = (prefix / path).stat().st_size
    return settled


def _record_path(prefix: Path, package: Package) -> Path:
    name = f"{package.name}-{package.version}-{package.build}.json"
    return prefix / "conda-meta" / name


def name_sources(prefix: Path, packages: Iterable[Package]) -> None:
    """Let conda-meta say that packages are from their channels, whatever they were linked from.

    Raises:
        StorageError: it cannot be written.
    """
    for each in packages:
        path = _record_path(prefix, each)
        content = load_json(read_stored(path))
        if content["url"] != each.url:
            content |= {"url": each.url, "channel": channel_of(each.url)}
            write_atomically(path, json.dumps(content, indent=2))
