"""The one file of a distribution that is locked, of those that an index offers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from urllib.parse import unquote, urlsplit

from packaging.pylock import Package as LockedPackage
from packaging.pylock import PackageSdist, PackageWheel
from packaging.tags import Tag
from packaging.utils import parse_wheel_filename

from elt_env.errors import NoWheelError
from elt_env.index.project_page import IndexFile
from elt_env.lockfile.document import Package
from elt_env.pip.port import Resolved
from elt_env.python.wheel_tags import wheel_tags


def locked_file(
    package: LockedPackage, resolved: Resolved, python: str, hashes: Collection[str] = ()
) -> Package:
    """Return the one file of a distribution that fits CPython `python` on this machine best.

    The sha256 of a file that no index has is "" where the page of its archives tells none.

    Args:
        package: its files, as uv lists them.
        resolved: what is locked.
        python: a full version.
        hashes: the sha256 digests of which the file must have one; none means any.

    Raises:
        NoWheelError: the index gives no file with a sha256, or none of these.
    """
    wheels = [each for each in package.wheels or () if _is_among(each, hashes)]
    sdist = package.sdist if package.sdist and _is_among(package.sdist, hashes) else None
    file = _best_wheel(wheels, python) or sdist
    if file is None and hashes:
        raise _other_hashes(package, resolved, python)
    if file is None or file.url is None or ("sha256" not in file.hashes and resolved.index):
        raise NoWheelError(
            f"The index gives no file with a sha256 for {resolved.name} {resolved.version}.",
            "Use an index that gives hashes.",
        )
    return Package(
        manager="pip",
        name=resolved.name,
        version=resolved.version,
        url=file.url,
        sha256=file.hashes.get("sha256", ""),
        size=file.size,
        released_at=file.upload_time,
        requested=resolved.requested,
        required_by=resolved.required_by,
        index=resolved.index or None,
    )


def as_wheel(file: IndexFile) -> PackageWheel:
    """Return a wheel of an index as a file of a pylock.toml."""
    return PackageWheel(
        name=file.file_name,
        url=file.url,
        size=file.size,
        # Whole seconds, as a resolver that is asked tells it: a conda package is named by it.
        upload_time=file.uploaded and file.uploaded.replace(microsecond=0),
        hashes={"sha256": file.sha256} if file.sha256 else {},
    )


def as_sdist(file: IndexFile) -> PackageSdist:
    """Return an sdist of an index as a file of a pylock.toml."""
    told = as_wheel(file)
    return PackageSdist(
        name=told.name,
        url=told.url,
        size=told.size,
        upload_time=told.upload_time,
        hashes=told.hashes,
    )


def _is_among(file: PackageWheel | PackageSdist, hashes: Collection[str]) -> bool:
    return not hashes or file.hashes.get("sha256") in hashes


def _other_hashes(package: LockedPackage, resolved: Resolved, python: str) -> NoWheelError:
    file = _best_wheel(package.wheels or (), python) or package.sdist
    found = file.hashes.get("sha256") if file else None
    remedy = "Name a version whose file has the hash that you trust, or take '--hash' out."
    if found:
        remedy = f"If that file is to be trusted, write: --hash=sha256:{found}"
    return NoWheelError(
        f"No file of {resolved.name} {resolved.version} that fits here has a hash that its "
        "requirement names with '--hash'.",
        remedy,
    )


def _best_wheel(wheels: Sequence[PackageWheel], python: str) -> PackageWheel | None:
    """Return the wheel that fits CPython `python` (`3.11.7`) on this machine best, or None.

    The order is the one of PEP 425, as in pip: the most specific tag first, then the highest
    build number. uv lists all that fit by file name.
    """
    order = {tag: place for place, tag in enumerate(wheel_tags(python))}
    ranked = [(_rank(each, order), each) for each in wheels]
    return min(ranked, key=lambda each: each[0])[1] if ranked else None


def _rank(wheel: PackageWheel, order: dict[Tag, int]) -> tuple[int, int]:
    name = unquote(urlsplit(wheel.url or "").path.rpartition("/")[2])
    _, _, build, tags = parse_wheel_filename(name)
    place = min(order.get(tag, len(order)) for tag in tags)
    return place, -build[0] if build else 0
