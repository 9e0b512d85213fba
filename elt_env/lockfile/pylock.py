"""`pylock.toml`: the pip half in the standard format (PEP 751)."""

from __future__ import annotations

from typing import Any

import tomli_w
from packaging.pylock import Package as PylockPackage
from packaging.pylock import PackageArchive, PackageSdist, PackageVcs, PackageWheel, Pylock
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from elt_env.lockfile.document import Lock, Package

FILE_NAME = "pylock.toml"


def render(lock: Lock) -> str:
    """Return the pip half of `lock` as a lock file that any PEP 751 installer accepts.

    What a package needs of conda's half is not among its `dependencies`, which refer to packages
    of this file alone.
    """
    return tomli_w.dumps(_document(lock).to_dict())


def require_valid(lock: Lock) -> None:
    """Return when what is rendered is valid; it takes as long as rendering, so not for a reader.

    Raises:
        packaging.pylock.PylockValidationError: it is not, which is a fault of this module.
    """
    _document(lock).validate()


def _document(lock: Lock) -> Pylock:
    return Pylock(
        lock_version=Version("1.0"),
        created_by="elt-env",
        requires_python=SpecifierSet(f"=={lock.target.python}.*"),
        packages=[_package(each, lock) for each in lock.pip],
        tool={"elt-env": {"target": str(lock.target), "digest": lock.digest}},
    )


def _package(package: Package, lock: Lock) -> PylockPackage:
    return PylockPackage(
        name=canonicalize_name(package.name),
        version=None if package.built else Version(package.version),
        requires_python=_pythons(package),
        dependencies=_dependencies(package, lock),
        index=package.index,
        **_sources(package),
    )


def _sources(package: Package) -> dict[str, Any]:
    """Return the fields that say where a package comes from.

    The version of what is built is that of its source, which the file does not repeat.
    """
    uploaded, size = package.released_at, package.size
    hashes = {"sha256": package.sha256}
    built = package.built
    if built is not None and built.commit:
        part = built.subdirectory or None
        url = package.url
        return {"vcs": PackageVcs(type="git", url=url, commit_id=built.commit, subdirectory=part)}
    if built is not None:
        source = {"sha256": built.sha256}
        part = built.subdirectory or None
        return {"archive": PackageArchive(url=package.url, hashes=source, subdirectory=part)}
    if package.index is None:
        return {"archive": PackageArchive(url=package.url, size=size, hashes=hashes)}
    if package.file_name.endswith(".whl"):
        wheel = PackageWheel(url=package.url, upload_time=uploaded, size=size, hashes=hashes)
        return {"wheels": [wheel]}
    sdist = PackageSdist(url=package.url, upload_time=uploaded, size=size, hashes=hashes)
    return {"sdist": sdist}


def _pythons(package: Package) -> SpecifierSet | None:
    """Return the package's bound on Python; None for one that no installer could read either."""
    try:
        return SpecifierSet(package.requires_python) if package.requires_python else None
    except InvalidSpecifier:
        return None


def _dependencies(package: Package, lock: Lock) -> list[dict[str, str]] | None:
    """Return references to the packages that a package needs: names, which are unique here."""
    if lock.layout == 1:
        return None
    needed = [each.name for each in lock.pip if package.name in each.required_by]
    return [{"name": canonicalize_name(name)} for name in needed if name != package.name] or None
