"""`conda-lock.yml`: what conda-lock locked for several platforms, both halves of it.

The format is told by conda-lock's own `lockfile/v1/models.py`.
"""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel, TypeAdapter

from elt_env.errors import InputError
from elt_env.lockfile.foreign.document import ForeignArchive, ForeignLock, Select, Wanted
from elt_env.lockfile.foreign.fields import (
    Md5Digest,
    Name,
    Sha256Digest,
    collected,
    load_yaml,
    package_at,
    require_version,
    validated,
)

_WHAT = "a conda-lock.yml"
_MAIN = "main"


class _Hash(BaseModel):
    md5: Md5Digest = ""
    sha256: Sha256Digest = ""


class _Package(BaseModel):
    name: str
    version: str
    manager: str
    platform: str
    url: str
    hash: _Hash
    category: str = _MAIN


class _Channel(BaseModel):
    url: str


class _Metadata(BaseModel):
    channels: list[_Channel] = []
    platforms: list[str] = []


class _Lock(BaseModel):
    metadata: _Metadata
    package: list[_Package]


_lock: TypeAdapter[_Lock] = TypeAdapter(_Lock)
_name: TypeAdapter[str] = TypeAdapter(Name)


def read(text: str, source: str) -> Select:
    """Return what gives the packages of a `conda-lock.yml` for this machine.

    Raises:
        InputError: it is none, or a package in it is of another manager than conda and pip.
    """
    content = load_yaml(text, source)
    require_version(content.get("version", "1"), ("1",), source, _WHAT)
    lock = validated(_lock, content, source, _WHAT)
    collected(lock.package, _require_known, lambda each: each.name, source, _WHAT)
    return partial(_select, lock, source)


def _require_known(package: _Package) -> None:
    if package.manager not in ("conda", "pip"):
        raise ValueError(f"its manager is '{package.manager}', neither conda nor pip")


def _select(lock: _Lock, source: str, wanted: Wanted) -> ForeignLock:
    """Return the packages that are wanted.

    Raises:
        InputError: it has none for this platform, or one that cannot be locked.
    """
    # A package whose name begins so is virtual: a fact of a machine, and no archive.
    real = (each for each in lock.package if not each.name.startswith("__"))
    here = [each for each in real if each.platform == wanted.platform]
    if not here:
        raise InputError(
            f"{source} has no packages for {wanted.platform}, but for "
            f"{', '.join(sorted({each.platform for each in lock.package})) or 'nothing'}.",
            f"Lock it for that platform too: conda-lock lock --platform {wanted.platform}",
        )
    mine = [each for each in here if each.category in (_MAIN, *wanted.groups)]
    pip = [each for each in mine if each.manager == "pip"]
    return ForeignLock(
        source,
        conda=tuple(
            ForeignArchive(each.url, each.hash.sha256, each.hash.md5)
            for each in mine
            if each.manager == "conda"
        ),
        pip=collected(
            pip,
            lambda each: package_at(
                each.url, _name.validate_python(each.name), each.version, each.hash.sha256
            ),
            lambda each: each.name,
            source,
            _WHAT,
        ),
        channels=tuple(each.url for each in lock.metadata.channels),
        groups=tuple(sorted({each.category for each in here} - {_MAIN})),
    )
