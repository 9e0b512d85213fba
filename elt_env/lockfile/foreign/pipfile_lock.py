"""`Pipfile.lock`: what Pipenv locked."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

from pydantic import BaseModel, Field, TypeAdapter

from elt_env.lockfile.foreign.document import ForeignLock, ForeignPackage, Select, Wanted
from elt_env.lockfile.foreign.fields import (
    MarkerText,
    Name,
    Sha256,
    collected,
    direct_at,
    load_object,
    require_version,
    validated,
)
from elt_env.spec.direct import DirectRequirement

_WHAT = "a Pipfile.lock"
_MAIN, _DEVELOP = "default", "develop"


class _Place(BaseModel):
    name: str
    url: str


class _Meta(BaseModel):
    sources: list[_Place] = []


class _Package(BaseModel):
    version: str = ""
    hashes: list[Sha256] = []
    markers: MarkerText = ""
    index: str = ""
    extras: list[Name] = []
    git: str = ""
    ref: str = ""
    subdirectory: str = ""
    file: str = ""
    path: str = ""


class _Lock(BaseModel):
    meta: _Meta = Field(alias="_meta")
    default: dict[Name, _Package] = {}
    develop: dict[Name, _Package] = {}


_lock: TypeAdapter[_Lock] = TypeAdapter(_Lock)


def read(text: str, source: str) -> Select:
    """Return what gives the packages of a `Pipfile.lock` for a Python and this machine.

    Raises:
        InputError: it is none.
    """
    content = load_object(text, source)
    meta = content.get("_meta")
    version = meta.get("pipfile-spec") if isinstance(meta, Mapping) else None
    require_version(version, ("6",), source, _WHAT)
    return partial(_select, validated(_lock, content, source, _WHAT), source)


def _select(lock: _Lock, source: str, wanted: Wanted) -> ForeignLock:
    """Return the packages that are wanted.

    Raises:
        InputError: one cannot be locked.
    """
    develop = lock.develop if _DEVELOP in wanted.groups else {}
    every = {**develop, **lock.default}
    mine = [(name, each) for name, each in every.items() if wanted.admits(each.markers)]
    places = {each.name: each.url for each in lock.meta.sources}
    kept = [(name, each) for name, each in mine if not each.path]
    notes = [
        f"{name} of {source} lies at {each.path}, and no lock can hold that"
        for name, each in mine
        if each.path
    ]
    return ForeignLock(
        source,
        pip=collected(
            kept, lambda each: _package(*each, places), lambda each: each[0], source, _WHAT
        ),
        indexes=tuple(places.values()),
        groups=(_DEVELOP,) if lock.develop else (),
        notes=tuple(notes),
    )


def _package(name: str, package: _Package, places: Mapping[str, str]) -> ForeignPackage:
    """Return a package as it is locked.

    Raises:
        ValueError: no lock can hold it.
    """
    extras = tuple(sorted(package.extras))
    if package.git or package.file:
        return ForeignPackage(name, "", extras=extras, direct=_direct(name, package))
    if not package.version.startswith("==") or not package.hashes:
        raise ValueError("it has no exact version with a hash")
    return ForeignPackage(
        name,
        package.version.lstrip("="),
        hashes=tuple(package.hashes),
        index=places.get(package.index, ""),
        extras=extras,
    )


def _direct(name: str, package: _Package) -> DirectRequirement:
    git, sha256 = package.git.removeprefix("git+"), package.hashes[0] if package.hashes else ""
    url = f"git+{git}@{package.ref}" if git else package.file
    return direct_at(url, name, sha256, package.subdirectory)
