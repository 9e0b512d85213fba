"""`uv.lock`: what uv locked for all Pythons and platforms of a project.

The format is told by https://docs.astral.sh/uv/concepts/projects/layout/#the-lockfile and by uv's
own `crates/uv-resolver/src/lock`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import partial

from packaging.specifiers import SpecifierSet
from pydantic import BaseModel, Field, TypeAdapter

from elt_env.lockfile.foreign.document import (
    ForeignFile,
    ForeignLock,
    ForeignPackage,
    Select,
    Wanted,
)
from elt_env.lockfile.foreign.fields import (
    MarkerText,
    Name,
    Sha256,
    SpecifierText,
    Version,
    collected,
    direct_at,
    file_name_in,
    load_table,
    require_python,
    require_version,
    unusable,
    validated,
)
from elt_env.spec.direct import DirectRequirement

_WHAT = "a uv.lock"
_OWN = ("virtual", "editable", "directory")


class _Need(BaseModel):
    name: Name
    version: str | None = None
    source: dict[str, str] | None = None
    marker: MarkerText = ""
    extra: list[str] = []


class _File(BaseModel):
    url: str = ""
    path: str = ""
    hash: Sha256 | None = None
    size: int | None = Field(None, ge=0)
    uploaded: datetime | None = Field(None, alias="upload-time")


class _Asked(BaseModel):
    name: Name
    specifier: SpecifierText = ""
    marker: MarkerText = ""
    extras: list[str] = []


class _Metadata(BaseModel):
    requires: list[_Asked] = Field([], alias="requires-dist")
    requires_dev: dict[str, list[_Asked]] = Field({}, alias="requires-dev")


class _Package(BaseModel):
    name: Name
    version: Version | None = None
    source: dict[str, str]
    dependencies: list[_Need] = []
    optional: dict[str, list[_Need]] = Field({}, alias="optional-dependencies")
    groups: dict[str, list[_Need]] = Field({}, alias="dev-dependencies")
    sdist: _File | None = None
    wheels: list[_File] = []
    metadata: _Metadata = Field(default_factory=_Metadata)

    @property
    def is_own(self) -> bool:
        """Whether it is a directory: the project itself, or a member of its workspace."""
        return any(each in self.source for each in _OWN)

    @property
    def is_root(self) -> bool:
        return any(self.source.get(each) == "." for each in _OWN)


class _Lock(BaseModel):
    requires_python: SpecifierText = Field("", alias="requires-python")
    packages: list[_Package] = Field([], alias="package")


_lock: TypeAdapter[_Lock] = TypeAdapter(_Lock)


def read(text: str, source: str) -> Select:
    """Return what gives the packages that the project of a `uv.lock` needs under one Python.

    Raises:
        InputError: it is none.
    """
    content = load_table(text, source)
    require_version(content.get("version"), ("1",), source, _WHAT)
    lock = validated(_lock, content, source, _WHAT)
    if not any(each.is_own for each in lock.packages):
        raise unusable(source, "it has no project, whose needs are taken", what=_WHAT)
    return partial(_select, lock, source)


def _select(lock: _Lock, source: str, wanted: Wanted) -> ForeignLock:
    """Return the packages that are wanted.

    Raises:
        InputError: it is for other Pythons, or has a package that cannot be locked.
    """
    require_python(SpecifierSet(lock.requires_python), wanted, source)
    own = [each for each in lock.packages if each.is_own]
    roots = [each for each in own if each.is_root] or own
    walk = _Walk(lock.packages, wanted)
    walk.visit(roots)
    found = [(each, extras) for each, extras in walk.found if not each.is_own]
    return ForeignLock(
        source,
        pip=collected(found, _package, lambda each: each[0].name, source, _WHAT),
        roots=tuple(dict.fromkeys(line for each in roots for line in _asked(each, wanted))),
        groups=tuple(sorted({name for each in roots for name in (*each.optional, *each.groups)})),
        notes=tuple(_notes([each for each, _ in walk.found], roots, source)),
    )


class _Walk:
    """Follows what packages need, as far as it counts under one Python."""

    def __init__(self, packages: list[_Package], wanted: Wanted) -> None:
        self._packages = packages
        self._wanted = wanted
        self._places: dict[str, list[int]] = {}
        for place, each in enumerate(packages):
            self._places.setdefault(each.name, []).append(place)
        self._seen: dict[tuple[int, str], None] = {}  # by position, with one extra or ""

    @property
    def found(self) -> list[tuple[_Package, tuple[str, ...]]]:
        """What was met, with its extras, in the order of the file."""
        extras: dict[int, list[str]] = {}
        for place, extra in sorted(self._seen):
            extras.setdefault(place, []).extend([extra] if extra else [])
        return [(self._packages[place], tuple(some)) for place, some in extras.items()]

    def visit(self, roots: list[_Package]) -> None:
        """Follow what the packages need, with the groups that are wanted."""
        extras = ("", *self._wanted.groups)
        todo = [(self._packages.index(each), extra) for each in roots for extra in extras]
        while todo:
            key = todo.pop()
            if key in self._seen:
                continue
            self._seen[key] = None
            for need in self._needs(self._packages[key[0]], key[1]):
                todo += [(at, each) for at in self._at(need) for each in ("", *need.extra)]

    def _needs(self, package: _Package, extra: str) -> Iterator[_Need]:
        needs = package.dependencies
        if extra:
            groups = package.groups.get(extra, []) if package.is_own else []
            needs = [*package.optional.get(extra, []), *groups]
        for each in needs:
            if self._wanted.admits(each.marker):
                yield each

    def _at(self, need: _Need) -> list[int]:
        """Return where in the file what is needed stands; a fork of versions names which."""
        return [
            place
            for place in self._places.get(need.name, [])
            if need.version in (None, self._packages[place].version)
            and need.source in (None, self._packages[place].source)
        ]


def _package(found: tuple[_Package, tuple[str, ...]]) -> ForeignPackage:
    """Return a package as it is locked.

    Raises:
        ValueError: no lock can hold it.
    """
    package, extras = found
    direct = _direct(package)
    if direct is not None:
        return ForeignPackage(package.name, package.version or "", direct=direct, extras=extras)
    index = package.source.get("registry", "")
    if "://" not in index:
        raise ValueError(f"it comes from {index or 'a file'}, a place of one machine")
    if package.version is None:
        raise ValueError("it has no version")
    files = (*package.wheels, *([package.sdist] if package.sdist else []))
    return ForeignPackage(
        package.name, package.version, tuple(map(_file, files)), index=index, extras=extras
    )


def _direct(package: _Package) -> DirectRequirement | None:
    git, url = package.source.get("git"), package.source.get("url")
    if git:
        return direct_at(f"git+{git}", package.name)
    if url:
        files = (*package.wheels, *([package.sdist] if package.sdist else []))
        sha256 = next((each.hash for each in files if each.hash), "")
        return direct_at(url, package.name, sha256)
    return None


def _file(file: _File) -> ForeignFile:
    if file.hash is None:
        raise ValueError(f"{file.url or file.path} has no sha256")
    name = file_name_in(file.url or file.path)
    return ForeignFile(name, file.hash, file.url, file.size, file.uploaded)


def _asked(root: _Package, wanted: Wanted) -> Iterator[str]:
    """Yield what a project asks for, but for what is a directory or a URL."""
    groups = [each for name in wanted.groups for each in root.metadata.requires_dev.get(name, [])]
    for each in (*root.metadata.requires, *groups):
        if wanted.admits(each.marker, wanted.groups):
            extras = f"[{','.join(sorted(each.extras))}]" if each.extras else ""
            yield f"{each.name}{extras}{each.specifier}"


def _notes(found: Iterable[_Package], roots: list[_Package], source: str) -> Iterator[str]:
    for each in found:
        if each.is_own and each not in roots:
            place = next(each.source[kind] for kind in _OWN if kind in each.source)
            yield f"{each.name} of {source} is a directory, {place}, which no lock can hold"
