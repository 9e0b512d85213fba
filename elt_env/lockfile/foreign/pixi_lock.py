"""`pixi.lock`: what pixi locked for several environments and platforms, both halves of each.

Versions 4 and 5 of the format name the kind and the URL of a package in fields of their own; since
6 the kind is the name of the field with the URL, and 7 lists the platforms.
"""

from __future__ import annotations

from functools import partial

from pydantic import BaseModel, TypeAdapter

from elt_env.errors import InputError
from elt_env.lockfile.foreign.document import (
    ForeignArchive,
    ForeignLock,
    ForeignPackage,
    Select,
    Wanted,
)
from elt_env.lockfile.foreign.fields import (
    Md5Digest,
    Name,
    Sha256Digest,
    collected,
    load_yaml,
    package_at,
    require_version,
    unusable,
    validated,
)

_WHAT = "a pixi.lock"
_DEFAULT = "default"


class _Place(BaseModel):
    url: str


class _Reference(BaseModel):
    conda: str = ""
    pypi: str = ""
    extras: list[Name] = []


class _Environment(BaseModel):
    channels: list[_Place] = []
    indexes: list[str] = []
    packages: dict[str, list[_Reference]] = {}


class _Package(BaseModel):
    kind: str = ""
    url: str = ""
    path: str = ""
    conda: str = ""
    pypi: str = ""
    name: str = ""
    version: str = ""
    sha256: Sha256Digest = ""
    md5: Md5Digest = ""

    @property
    def place(self) -> tuple[str, str]:
        """Its kind and its URL or path, by which environments refer to it."""
        if self.kind:
            return self.kind, self.url or self.path
        return ("conda", self.conda) if self.conda else ("pypi", self.pypi)


class _Platform(BaseModel):
    name: str
    subdir: str = ""


class _Lock(BaseModel):
    platforms: list[_Platform] = []
    environments: dict[str, _Environment]
    packages: list[_Package]


_lock: TypeAdapter[_Lock] = TypeAdapter(_Lock)
_name: TypeAdapter[str] = TypeAdapter(Name)


def read(text: str, source: str) -> Select:
    """Return what gives the packages of one environment of a `pixi.lock` for this machine.

    Raises:
        InputError: it is none, or a package in it is of another kind than conda and pypi.
    """
    content = load_yaml(text, source)
    require_version(content.get("version"), ("4", "5", "6", "7"), source, _WHAT)
    lock = validated(_lock, content, source, _WHAT)
    wrong = sorted({each.place[0] for each in lock.packages} - {"conda", "pypi"})
    if wrong:
        raise unusable(source, f"it has packages of the kind {', '.join(wrong)}", what=_WHAT)
    return partial(_select, lock, source)


def _select(lock: _Lock, source: str, wanted: Wanted) -> ForeignLock:
    """Return the packages that are wanted.

    Raises:
        InputError: it has none for this platform, or one that cannot be locked.
    """
    name = next((each for each in wanted.groups if each in lock.environments), _DEFAULT)
    environment = lock.environments.get(name)
    if environment is None:
        raise InputError(
            f"{source} has no environment '{name}'.",
            f"Name one of these with --group: {', '.join(sorted(lock.environments)) or 'none'}",
        )
    references = _references(lock, environment, source, wanted)
    packages = {each.place: each for each in lock.packages}
    conda = [packages.get(("conda", each.conda)) for each in references if each.conda]
    pypi = [(each, packages.get(("pypi", each.pypi))) for each in references if each.pypi]
    notes = [
        f"{each.conda or each.pypi} of {source} is built of a directory, which no lock can hold"
        for each in references
        if not _is_url(each.conda or each.pypi)
    ]
    return ForeignLock(
        source,
        conda=tuple(
            ForeignArchive(each.place[1], each.sha256, each.md5)
            for each in conda
            if each and _is_url(each.place[1])
        ),
        pip=collected(
            [each for each in pypi if _is_url(each[0].pypi)],
            _package,
            lambda each: each[0].pypi,
            source,
            _WHAT,
        ),
        channels=tuple(each.url for each in environment.channels),
        indexes=tuple(environment.indexes),
        groups=tuple(sorted(lock.environments.keys() - {_DEFAULT})),
        notes=tuple(notes),
    )


def _references(
    lock: _Lock, environment: _Environment, source: str, wanted: Wanted
) -> list[_Reference]:
    subdirs = {each.name: each.subdir or each.name for each in lock.platforms}
    for name, references in environment.packages.items():
        if subdirs.get(name, name) == wanted.platform:
            known = {each.place for each in lock.packages}
            places = [("conda", e.conda) if e.conda else ("pypi", e.pypi) for e in references]
            missing = [place for kind, place in places if (kind, place) not in known]
            if missing:
                told = (f"{each} is referred to, and not described" for each in missing)
                raise unusable(source, *told, what=_WHAT)
            return references
    raise InputError(
        f"{source} has no packages for {wanted.platform}, but for "
        f"{', '.join(sorted(environment.packages)) or 'nothing'}.",
        f"Add the platform to the pixi project: pixi workspace platform add {wanted.platform}",
    )


def _is_url(place: str) -> bool:
    return "://" in place


def _package(found: tuple[_Reference, _Package | None]) -> ForeignPackage:
    """Return a package as it is locked.

    Raises:
        ValueError: no lock can hold it.
    """
    reference, package = found
    if package is None:
        raise ValueError(reference)
    name = _name.validate_python(package.name)
    extras = tuple(sorted(reference.extras))
    return package_at(reference.pypi, name, package.version, package.sha256, extras)
