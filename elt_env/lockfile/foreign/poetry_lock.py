"""`poetry.lock`: what Poetry locked for all Pythons and platforms of a project.

Since version 2.1 of the format each package says of which groups it is and under which marker;
before, markers stand at what the others need.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from pydantic import BaseModel, Field, TypeAdapter

from elt_env.lockfile.foreign.document import (
    ForeignFile,
    ForeignLock,
    ForeignPackage,
    Select,
    Wanted,
)
from elt_env.lockfile.foreign.fields import (
    FileName,
    MarkerText,
    Name,
    Sha256,
    Version,
    collected,
    direct_at,
    load_table,
    require_version,
    validated,
)
from elt_env.package.names import normalize
from elt_env.spec.direct import DirectRequirement

_WHAT = "a poetry.lock"
_PLACES = ("directory", "file")


class _File(BaseModel):
    file: FileName
    hash: Sha256


class _Need(BaseModel):
    markers: MarkerText = ""
    optional: bool = False


class _Source(BaseModel):
    type: str
    url: str
    commit: str = Field("", alias="resolved_reference")
    subdirectory: str = ""


class _Package(BaseModel):
    name: Name
    version: Version
    optional: bool = False
    category: str = "main"  # before 2.0
    groups: list[str] | None = None
    markers: MarkerText | dict[str, MarkerText] = ""
    files: list[_File] = []
    dependencies: dict[str, str | _Need | list[str | _Need]] = {}
    source: _Source | None = None


class _Metadata(BaseModel):
    version: str = Field(alias="lock-version")
    files: dict[str, list[_File]] = {}  # before 2.0


class _Lock(BaseModel):
    packages: list[_Package] = Field([], alias="package")
    extras: dict[str, list[str]] = {}
    metadata: _Metadata


_lock: TypeAdapter[_Lock] = TypeAdapter(_Lock)


def read(text: str, source: str) -> Select:
    """Return what gives the packages of a `poetry.lock` for a Python and this machine.

    Raises:
        InputError: it is none.
    """
    content = load_table(text, source)
    metadata = content.get("metadata")
    version = metadata.get("lock-version") if isinstance(metadata, Mapping) else None
    require_version(version, ("1.1", "2.0", "2.1"), source, _WHAT)
    return partial(_select, validated(_lock, content, source, _WHAT), source)


def _select(lock: _Lock, source: str, wanted: Wanted) -> ForeignLock:
    """Return the packages that are wanted.

    Raises:
        InputError: one cannot be locked.
    """
    asked = _of_extras(lock, wanted)
    mine = [each for each in lock.packages if _is_wanted(each, asked, wanted)]
    if lock.metadata.version != "2.1":
        mine = _needed(mine, wanted)
    named = [_with_files(each, lock) for each in mine]
    kept = [each for each in named if not each.source or each.source.type not in _PLACES]
    return ForeignLock(
        source,
        pip=collected(kept, _package, lambda each: each.name, source, _WHAT),
        groups=tuple(sorted({*lock.extras, *_groups(lock)} - {"main"})),
        notes=tuple(
            f"{each.name} of {source} lies at {each.source.url}, and no lock can hold that"
            for each in named
            if each.source and each not in kept
        ),
    )


def _of_extras(lock: _Lock, wanted: Wanted) -> frozenset[str]:
    names = (name for each in wanted.groups for name in lock.extras.get(each, []))
    return frozenset(normalize(name.split(" ")[0]) for name in names)


def _is_wanted(package: _Package, asked: frozenset[str], wanted: Wanted) -> bool:
    groups = {"main", *wanted.groups} & {*(package.groups or [package.category])}
    markers = package.markers
    by_group = markers if isinstance(markers, dict) else dict.fromkeys(groups, markers)
    holding = [each for each in groups if wanted.admits(by_group.get(each, ""), wanted.groups)]
    is_of_extra = any("extra ==" in by_group.get(each, "") for each in holding)
    return bool(holding) and (not package.optional or is_of_extra or package.name in asked)


def _needed(packages: list[_Package], wanted: Wanted) -> list[_Package]:
    """Return packages without those that others need under markers alone that do not hold."""
    while True:
        edges = [(normalize(k), each) for p in packages for k, each in p.dependencies.items()]
        needed = {name for name, _ in edges}
        holding = {name for name, each in edges if any(_holds(need, wanted) for need in _all(each))}
        left = [each for each in packages if each.name in holding or each.name not in needed]
        if len(left) == len(packages):
            return left
        packages = left


def _all(need: str | _Need | list[str | _Need]) -> Iterator[str | _Need]:
    yield from need if isinstance(need, list) else [need]


def _holds(need: str | _Need, wanted: Wanted) -> bool:
    """Tell whether a need counts; which extras are asked for, such a file does not say."""
    if isinstance(need, str) or "extra ==" in need.markers:
        return True
    return wanted.admits(need.markers)


def _with_files(package: _Package, lock: _Lock) -> _Package:
    older = lock.metadata.files.get(package.name, [])
    return package if package.files else package.model_copy(update={"files": older})


def _package(package: _Package) -> ForeignPackage:
    """Return a package as it is locked.

    Raises:
        ValueError: no lock can hold it.
    """
    place = package.source
    if place is not None and place.type in ("git", "url"):
        direct = _direct(package, place)
        return ForeignPackage(package.name, package.version, direct=direct)
    if not package.files:
        raise ValueError("it has no files with a hash")
    files = tuple(ForeignFile(each.file, each.hash) for each in package.files)
    index = place.url if place is not None and place.type == "legacy" else ""
    return ForeignPackage(package.name, package.version, files, index=index)


def _direct(package: _Package, place: _Source) -> DirectRequirement:
    url = f"git+{place.url}@{place.commit}" if place.type == "git" else place.url
    sha256 = package.files[0].hash if package.files else ""
    return direct_at(url, package.name, sha256, place.subdirectory)


def _groups(lock: _Lock) -> set[str]:
    return {name for each in lock.packages for name in (each.groups or [each.category])}
