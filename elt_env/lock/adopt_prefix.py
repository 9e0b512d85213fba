"""An environment that is installed, read as a lock file is, and what is broken in it."""

from __future__ import annotations

import contextlib
import csv
import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, TypeAdapter, ValidationError

from elt_env.environment.installed_files import installed_files
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_content import changed_files
from elt_env.errors import InputError
from elt_env.lockfile.document import Lock, Package
from elt_env.lockfile.foreign.document import ForeignArchive, ForeignLock, ForeignPackage, Wanted
from elt_env.lockfile.foreign.read import LockFile
from elt_env.package.names import normalize
from elt_env.python.wheel import open_wheel
from elt_env.runtime.input_files import read_stored_text
from elt_env.runtime.limits import load_json
from elt_env.spec.direct import DirectRequirement, parse_direct

if TYPE_CHECKING:
    from elt_env.index.download import Downloads

_NAMED = 20
_CONDA = "conda"
# What an installer writes, or rewrites, beside what the wheel brings.
_OWN = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")


class _Record(BaseModel):
    name: str
    version: str
    url: str = ""
    sha256: str | None = None
    md5: str | None = None


_record: TypeAdapter[_Record] = TypeAdapter(_Record)


def open_prefix(path: Path) -> LockFile:
    """Return the environment in a directory as a lock file.

    Raises:
        InputError: there is none.
    """
    if not (path / "conda-meta").is_dir() and not (path / "pyvenv.cfg").is_file():
        raise InputError(
            f"{path} is no environment: it has neither a conda-meta nor a pyvenv.cfg.",
            "Name the directory that has the environment's bin; where it is, tells: "
            "python -c 'import sys; print(sys.prefix)'",
        )
    return LockFile(path, has_conda=True, select=partial(_select, path))


def _select(path: Path, wanted: Wanted) -> ForeignLock:
    """Return what is installed, as far as a lock can hold it.

    Raises:
        InputError: the environment is of another Python.
    """
    site = path / "lib" / f"python{wanted.python}" / "site-packages"
    if not site.is_dir():
        there = ", ".join(sorted(each.parent.name for each in path.glob("lib/*/site-packages")))
        raise InputError(
            f"{path} has no site-packages of Python {wanted.python}, but of {there or 'none'}.",
            "Name its Python behind the @ of --as.",
        )
    notes: list[str] = []
    archives = tuple(_archives(path, notes))
    pip = tuple(_distributions(site, notes))
    notes += [
        f"{each.name} is on the path by a link, and no lock can hold it" for each in _links(site)
    ]
    return ForeignLock(str(path), conda=archives or None, pip=pip, notes=tuple(notes))


def _archives(path: Path, notes: list[str]) -> Iterator[ForeignArchive]:
    for file in sorted((path / "conda-meta").glob("*.json")):
        try:
            record = _record.validate_python(load_json(read_stored_text(file)))
        except (ValidationError, ValueError, OSError):
            notes.append(f"conda-meta/{file.name} cannot be read, so its package is left out")
            continue
        if "://" in record.url:
            yield ForeignArchive(record.url, record.sha256 or "", record.md5 or "")
        else:
            notes.append(f"conda's {record.name} {record.version} says no URL, and is left out")


def _distributions(site: Path, notes: list[str]) -> Iterator[ForeignPackage]:
    """Yield what pip or another installer of wheels installed, but not conda."""
    found: dict[str, list[tuple[str, importlib.metadata.Distribution]]] = {}
    for each in importlib.metadata.distributions(path=[str(site)]):
        name, version = _text(each, "Name"), _text(each, "Version")
        if not name or not version:
            place = getattr(each, "_path", site)
            notes.append(f"{Path(place).name} has no metadata, so its distribution is left out")
            continue
        if (each.read_text("INSTALLER") or "").strip() == _CONDA:
            continue
        found.setdefault(normalize(name), []).append((version, each))
    for name, several in sorted(found.items()):
        versions = sorted({version for version, _ in several}, key=_order)
        if len(several) > 1:
            notes.append(f"{name} is there twice, as {' and '.join(versions)}; the newest is taken")
        version, newest = max(several, key=lambda pair: _order(pair[0]))
        package = _package(newest, name, version, notes)
        if package is not None:
            yield package


def _order(version: str) -> Version:
    """Return a version to be compared; what is none comes first."""
    try:
        return Version(version)
    except InvalidVersion:
        return Version("0.dev0")


def _text(distribution: importlib.metadata.Distribution, field: str) -> str:
    try:
        return str(distribution.metadata[field] or "").strip()
    except KeyError:  # from Python 3.14 on, what is not there
        return ""


def _package(
    distribution: importlib.metadata.Distribution, name: str, version: str, notes: list[str]
) -> ForeignPackage | None:
    """Return a distribution as it is to be locked; None for what no lock can hold."""
    text = distribution.read_text("direct_url.json")
    if text is None:
        return ForeignPackage(name, version, any_file=True)
    try:
        direct = _direct(load_json(text), name)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        notes.append(f"{name} {version}: {error}; no lock can hold it")
        return None
    return ForeignPackage(name, version, direct=direct)


def _direct(content: Mapping[str, Any], name: str) -> DirectRequirement:
    """Return what a `direct_url.json` (PEP 610) says.

    Raises:
        ValueError: it is a directory, a file of this machine, or has no hash.
        KeyError, TypeError, AttributeError: it is no such file.
    """
    url, part = str(content["url"]), content.get("subdirectory")
    behind = f"#subdirectory={part}" if part else ""
    if "dir_info" in content:
        kind = "an editable install of" if content["dir_info"].get("editable") else "installed from"
        raise ValueError(f"it is {kind} the directory {url}")
    if "vcs_info" in content:
        vcs = content["vcs_info"]
        return parse_direct(f"{vcs['vcs']}+{url}@{vcs['commit_id']}{behind}", name=name)
    info = content["archive_info"]
    old = str(info.get("hash", "")).removeprefix("sha256=")
    sha256 = str(info.get("hashes", {}).get("sha256", old))
    if url.startswith("file:") or not sha256:
        message = f"it is from {url}, {'a file of this machine' if sha256 else 'without a hash'}"
        raise ValueError(message)
    return parse_direct(url + behind, name=name, sha256=sha256)


def _links(site: Path) -> Iterator[Path]:
    """Yield the links that setuptools makes of editable installs without metadata."""
    yield from sorted(site.glob("*.egg-link"))


def broken_in(path: Path, made: Lock, downloads: Downloads) -> tuple[str, ...]:
    """Return what in a prefix is not as the packages of its lock bring it, a sentence each."""
    prefix = Prefix(path, made)
    found = [str(each) for record in _records(path) for each in changed_files(prefix, record)]
    files = installed_files(prefix)
    found += [*files.changed, *map(str, files.shared)]
    found += [
        f"{each.name} {each.version} was installed of another file than the locked "
        f"{each.file_name}: {len(other)} of its files differ, as {other[0]}"
        for each in made.pip
        if each.built is None and each.file_name.endswith(".whl")
        for other in (_other_files(each, prefix, downloads),)
        if other
    ]
    more = [f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else []
    return tuple(f"{path}: {each}" for each in (*found[:_NAMED], *more))


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the records of conda-meta that can be read."""
    for file in sorted((path / "conda-meta").glob("*.json")):
        with contextlib.suppress(ValidationError, ValueError, OSError):
            content = load_json(read_stored_text(file))
            _record.validate_python(content)
            yield content


def _other_files(package: Package, prefix: Prefix, downloads: Downloads) -> Sequence[str]:
    """Return the files that a wheel has recorded otherwise than what was installed."""
    installed = {
        path: stated.partition("=")[2]
        for each in prefix.distributions()
        if each.name == package.name
        for path, stated, _ in each.rows
        if stated
    }
    with open_wheel(downloads.fetch(package.url, package.sha256)) as wheel:
        text = wheel.archive.read(f"{wheel.dist_info}/RECORD").decode()
    rows = {
        row[0]: row[1].partition("=")[2] for row in csv.reader(text.splitlines()) if len(row) > 1
    }
    return sorted(
        name
        for name, digest in rows.items()
        if digest and not name.endswith(_OWN) and installed.get(name, digest) != digest
    )
