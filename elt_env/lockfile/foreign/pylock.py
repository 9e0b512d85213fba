"""`pylock.toml` (PEP 751), as uv, pip, pdm and this program write it."""

from __future__ import annotations

from functools import partial
from typing import Any

from packaging.markers import default_environment
from packaging.pylock import (
    Package,
    PackageSdist,
    PackageWheel,
    Pylock,
    PylockValidationError,
)

from elt_env.lockfile.foreign.document import (
    ForeignFile,
    ForeignLock,
    ForeignPackage,
    Select,
    Wanted,
)
from elt_env.lockfile.foreign.fields import (
    collected,
    direct_at,
    file_name_in,
    load_table,
    require_python,
    require_version,
    unusable,
)
from elt_env.package.names import normalize
from elt_env.package.target import minor_of

_WHAT = "a pylock.toml"


def read(text: str, source: str) -> Select:
    """Return what gives the packages of a `pylock.toml` for a Python and this machine.

    Raises:
        InputError: it is none.
    """
    content = load_table(text, source)
    require_version(content.get("lock-version"), ("1.0",), source, _WHAT)
    try:
        lock = Pylock.from_dict(content)
    except PylockValidationError as error:
        raise unusable(source, str(error), what=_WHAT) from error
    return partial(_select, lock, source)


def _select(lock: Pylock, source: str, wanted: Wanted) -> ForeignLock:
    """Return the packages that are wanted.

    Raises:
        InputError: it is for other Pythons, or has a package without a sha256.
    """
    require_python(lock.requires_python, wanted, source)
    try:
        mine = [each for each in lock.packages if _is_wanted(each, lock, wanted)]
    except ValueError as error:
        raise unusable(source, f"a marker in it: {error}", what=_WHAT) from error
    kept = [each for each in mine if each.directory is None]
    return ForeignLock(
        source,
        pip=collected(kept, _package, lambda each: str(each.name), source, _WHAT),
        groups=tuple(map(str, (*(lock.extras or ()), *(lock.dependency_groups or ())))),
        notes=tuple(
            f"{each.name} of {source} is a directory, {each.directory.path}, which no lock can hold"
            for each in mine
            if each.directory is not None
        ),
    )


def _is_wanted(package: Package, lock: Pylock, wanted: Wanted) -> bool:
    if package.marker is None:
        return True
    minor = minor_of(wanted.python)
    groups = frozenset({*(lock.default_groups or ()), *wanted.groups})
    environment: dict[str, Any] = {
        **default_environment(),
        "python_version": minor,
        "python_full_version": wanted.python,
        "extras": frozenset(wanted.groups),
        "dependency_groups": groups,
    }
    return package.marker.evaluate(environment, context="lock_file")


def _package(package: Package) -> ForeignPackage:
    name = normalize(package.name)
    version = str(package.version or "")
    if package.vcs is not None:
        vcs = package.vcs
        url = f"{vcs.type}+{vcs.url or vcs.path}@{vcs.commit_id}"
        direct = direct_at(url, name, subdirectory=vcs.subdirectory or "")
        return ForeignPackage(name, version, direct=direct)
    if package.archive is not None:
        archive = package.archive
        if archive.url is None:
            raise ValueError(f"it is the file {archive.path} of one machine")
        sha256, part = _sha256(archive.hashes), archive.subdirectory or ""
        direct = direct_at(archive.url, name, sha256, part)
        return ForeignPackage(name, version, direct=direct)
    if not version:
        raise ValueError("it has no version")
    files = (*(package.wheels or ()), *((package.sdist,) if package.sdist else ()))
    return ForeignPackage(name, version, tuple(map(_file, files)), index=str(package.index or ""))


def _file(file: PackageWheel | PackageSdist) -> ForeignFile:
    name = file.name or file_name_in(file.url or file.path or "")
    return ForeignFile(name, _sha256(file.hashes), file.url or "", file.size, file.upload_time)


def _sha256(hashes: Any) -> str:  # noqa: ANN401  # a mapping by the name of the algorithm
    found = hashes.get("sha256")
    if not isinstance(found, str):
        raise ValueError("it has no sha256")  # noqa: TRY004  # the file is what is wrong
    return found
