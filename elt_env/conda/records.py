"""Conda packages as rattler's records and as those of a lock."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timezone
from pathlib import Path

import rattler
from rattler.package.build_string import BuildString

from elt_env.conda.channels import channel_of
from elt_env.conda.distributions import distributions_in
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import CondaDetail, Package
from elt_env.machine.activation import is_link_script
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored
from elt_env.runtime.limits import load_json


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
        message = f"{package.name} is not a conda package"
        raise ValueError(message)
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


def name_sources(prefix: Path, packages: Iterable[Package]) -> None:
    """Let conda-meta say that packages are from their channels, whatever they were linked from.

    Raises:
        StorageError: it cannot be written.
    """
    for each in packages:
        path = prefix / "conda-meta" / f"{each.name}-{each.version}-{each.build}.json"
        content = load_json(read_stored(path))
        if content["url"] != each.url:
            content |= {"url": each.url, "channel": channel_of(each.url)}
            write_atomically(path, json.dumps(content, indent=2))
