"""`pylock.toml`: the pip half in the standard format (PEP 751)."""

from __future__ import annotations

import tomli_w
from packaging.pylock import Package as PylockPackage
from packaging.pylock import PackageSdist, PackageWheel, Pylock
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from elt_env.model.lock import Lock, Package

FILE_NAME = "pylock.toml"


def render(lock: Lock) -> str:
    """Return the pip half of `lock` as a lock file that any PEP 751 installer accepts.

    What a package needs of conda's half is not among its `dependencies`, which refer to packages
    of this file alone.
    """
    document = Pylock(
        lock_version=Version("1.0"),
        created_by="elt-env",
        requires_python=SpecifierSet(f"=={lock.target.python}.*"),
        packages=[_package(each, lock) for each in lock.pip],
        tool={"elt-env": {"target": str(lock.target), "digest": lock.digest}},
    )
    document.validate()
    return tomli_w.dumps(document.to_dict())


def _package(package: Package, lock: Lock) -> PylockPackage:
    hashes = {"sha256": package.sha256}
    uploaded, size = package.released_at, package.size
    is_wheel = package.file_name.endswith(".whl")
    wheel = PackageWheel(url=package.url, upload_time=uploaded, size=size, hashes=hashes)
    sdist = PackageSdist(url=package.url, upload_time=uploaded, size=size, hashes=hashes)
    return PylockPackage(
        name=canonicalize_name(package.name),
        version=Version(package.version),
        requires_python=_pythons(package),
        dependencies=_dependencies(package, lock),
        index=package.index,
        wheels=[wheel] if is_wheel else None,
        sdist=None if is_wheel else sdist,
    )


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
