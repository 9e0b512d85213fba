"""Pip's half of lock files of other tools: the one file of each, found, fetched and read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from packaging.pylock import Package as LockedPackage
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from elt_env.errors import InputError, IntegrityError
from elt_env.index.project_page import IndexFile, ProjectPage
from elt_env.lock.joint_shelf import needs_in, readable_needs
from elt_env.lock.lock_tools import LockTools
from elt_env.lockfile.document import Package
from elt_env.lockfile.foreign.document import ForeignPackage
from elt_env.lockfile.lock_faults import package_faults
from elt_env.machine.indexes import parse_index
from elt_env.machine.process import Say, unheard
from elt_env.package.names import normalize
from elt_env.package.platform import this_platform
from elt_env.pip import ResolveRequest
from elt_env.pip.locked_file import as_sdist, as_wheel, locked_file
from elt_env.pip.port import Resolved, own_index
from elt_env.project.policy import Policy
from elt_env.python.sdist_metadata import read_sdist_metadata
from elt_env.python.wheel import open_wheel
from elt_env.python.wheel_tags import tags_of, wheel_tags
from elt_env.spec.direct import parse_direct
from elt_env.spec.faults import WrittenError

if TYPE_CHECKING:
    from elt_env.index.download import Downloads

_AT_ONCE = 8
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Fetched:
    """A locked package and what it needs, as its own file says."""

    package: Package
    requires: tuple[Requirement, ...]


def merged(packages: Iterable[ForeignPackage], source: str) -> tuple[ForeignPackage, ...]:
    """Return packages of several files as those of one, one a name.

    Raises:
        InputError: two files have a distribution in two versions.
    """
    found: dict[str, ForeignPackage] = {}
    wrong = []
    for each in packages:
        other = found.setdefault(each.name, each)
        if (other.version, other.direct) != (each.version, each.direct):
            wrong.append(f"{each.name} in {other.version or 'a URL'} and {each.version or 'a URL'}")
        extras = {*other.extras, *each.extras}
        found[each.name] = replace(other, extras=tuple(sorted(extras)))
    if wrong:
        raise InputError(
            f"{source} have distributions in two versions: {'; '.join(wrong)}.",
            "Adopt one of the files, or let their tools lock them together.",
        )
    return tuple(found.values())


Candidates = dict[str, tuple[str, list[IndexFile]]]
"""By name of a distribution its index, and the files of which one is to be locked."""


def placed(
    packages: Sequence[ForeignPackage],
    indexes: Sequence[str],
    python: str,
    tools: LockTools,
    say: Say,
) -> tuple[Candidates, tuple[ForeignPackage, ...]]:
    """Return the files of packages on their indexes, and the packages.

    One whose only file has a URL and is on no index comes from that URL.

    Args:
        packages: the packages.
        indexes: those that the lock files name, asked before those of the settings.
        python: the full version.
        tools: whose indexes are asked for what the lock files do not say.
        say: told what is asked.

    Raises:
        IndexUnreachableError: an index does not answer.
        InputError: such a URL cannot be in a lock.
    """
    named = [each for each in packages if each.direct is None]
    found = _Search(python, tools, say).candidates(named, indexes) if named else {}
    try:
        return found, tuple(each if each.name in found else _direct(each) for each in packages)
    except WrittenError as error:
        raise InputError(f"{error.problem}.", error.remedy) from error


def _direct(package: ForeignPackage) -> ForeignPackage:
    if package.direct is not None or not _is_told(package) or len(package.files) > 1:
        return package
    (file,) = package.files
    direct = parse_direct(file.url, name=package.name, extras=package.extras, sha256=file.sha256)
    return replace(package, direct=direct)


def locked_packages(
    packages: Sequence[ForeignPackage], found: Candidates, python: str, policy: Policy
) -> tuple[Package, ...]:
    """Return the one file of each distribution that fits this machine; nothing is fetched yet.

    What is known by its version alone, and no index has, is left out.

    Args:
        packages: without those that a URL names.
        found: their files, as `placed` returns them.
        python: the full version.
        policy: which sdists it takes.

    Raises:
        InputError: no file fits, or one cannot be what a lock has there.
        IntegrityError: no index has a file of that version with that hash.
    """
    lost = [each for each in packages if each.name not in found]
    missing = [f"{each.name} {each.version}" for each in lost if not each.any_file]
    if missing:
        raise IntegrityError(
            f"No index has a file of that version and hash of: {', '.join(missing)}.",
            "Was another index meant? Name it in the settings of pip or uv, or as 'index' in "
            "[tool.elt-env]. Else the file was changed: let its tool write it anew.",
        )
    locked, wrong = [], []
    for each in (some for some in packages if some not in lost):
        try:
            package = _chosen(each, *found[each.name], python, policy)
        except ValueError as error:
            wrong.append(f"{each.name} {each.version}: {error}")
            continue
        locked.append(package)
        faults = package_faults(package, this_platform())
        wrong += [f"{each.name} {each.version}: {fault}" for fault in faults]
    if wrong:
        listed = "\n  ".join(wrong)
        raise InputError(
            f"These packages cannot be locked here:\n  {listed}",
            "Let the tool lock other versions; what may be built from source is named in "
            "allow-sdist of [tool.elt-env].",
        )
    return tuple(locked)


def fetched(packages: Sequence[Package], downloads: Downloads, say: Say) -> tuple[Fetched, ...]:
    """Return packages whose files are here and have the hash that is told, with what they need.

    Raises:
        IntegrityError: some have another hash, or are no packages.
        IndexUnreachableError: one cannot be downloaded.
    """
    if packages:
        say(f"adopt: fetching and reading the files of {len(packages)} pip packages")

    def read(package: Package) -> Fetched:
        path = downloads.fetch(package.url, package.sha256, unheard)
        python, requires = read_needs(path)
        size = path.stat().st_size
        return Fetched(replace(package, requires_python=python, size=size), requires)

    with downloads.connected():
        return _all_of(packages, read)


def read_needs(path: Path) -> tuple[str | None, tuple[Requirement, ...]]:
    """Return the Requires-Python of a wheel or an sdist, and what it needs as far as it tells.

    Raises:
        IntegrityError: it is no wheel, or a damaged one.
    """
    if path.suffix != ".whl":
        return None, needs_in(read_sdist_metadata(path) or "")
    with open_wheel(path) as wheel:
        lines = wheel.metadata.get("requires_dist", [])
        return wheel.metadata.get("requires_python"), readable_needs(lines)


def _all_of(packages: Sequence[Package], work: Callable[[Package], _Result]) -> tuple[_Result, ...]:
    """Return what the work makes of each; what is not as told is said of all."""

    def one(package: Package) -> _Result | IntegrityError:
        try:
            return work(package)
        except IntegrityError as error:
            return error

    with ThreadPoolExecutor(_AT_ONCE, "adopt") as pool:
        done = [*pool.map(one, packages)]
    wrong = [each.problem for each in done if isinstance(each, IntegrityError)]
    if wrong:
        raise IntegrityError(
            "\n".join(wrong),
            "If the index is trusted, let the tool lock anew, and adopt that; else find out who "
            "changed the file or the index.",
        )
    return tuple(each for each in done if not isinstance(each, IntegrityError))


class _Search:
    """Looks for the files of distributions, and for the index that has them."""

    def __init__(self, python: str, tools: LockTools, say: Say) -> None:
        self._python = python
        self._tools = tools
        self._say = say

    def candidates(self, packages: Sequence[ForeignPackage], indexes: Sequence[str]) -> Candidates:
        """Return by name the index and the files of which one is to be locked."""
        found = {
            each.name: (parse_index(each.index).url, _told(each))
            for each in packages
            if each.index and _is_told(each)
        }
        asked = [each for each in packages if each.name not in found]
        if asked:
            known = [parse_index(each).url for each in indexes]
            known += [each.url for each in self._tools.files.indexes.all] or self._own(asked[0])
            found |= self._looked_up(asked, [*dict.fromkeys(known)])
        return found

    def _looked_up(self, packages: Sequence[ForeignPackage], indexes: Sequence[str]) -> Candidates:
        """Return what the first index that has one of the hashes has of each distribution."""
        places = {
            each.name: [parse_index(each.index).url] if each.index else list(indexes)
            for each in packages
        }
        found: Candidates = {}
        for turn in range(max(map(len, places.values()), default=0)):
            asked = {
                name: some[turn]
                for name, some in places.items()
                if name not in found and turn < len(some)
            }
            pages = self._tools.package_index.look(asked, may_lack=True).pages if asked else {}
            for each in packages:
                files = _with_hashes(each, pages.get(each.name))
                if each.name in asked and files:
                    found[each.name] = asked[each.name], files
        return found

    def _own(self, package: ForeignPackage) -> list[str]:
        asked = ResolveRequest(
            (f"{package.name}=={package.version}",), self._python, wheels_only=False
        )
        return [*filter(None, [own_index(self._tools.resolver, asked, self._say)])]


def _is_told(package: ForeignPackage) -> bool:
    return bool(package.files) and all(each.url for each in package.files)


def _told(package: ForeignPackage) -> list[IndexFile]:
    return [
        IndexFile(
            file_name=each.name,
            version=package.version,
            url=each.url,
            size=each.size,
            uploaded=each.uploaded,
            sha256=each.sha256,
        )
        for each in package.files
    ]


def _with_hashes(package: ForeignPackage, page: ProjectPage | None) -> list[IndexFile]:
    if page is None:
        return []
    wanted, files = package.sha256s, page.of(str(Version(package.version)))
    return [each for each in files if each.sha256 and (package.any_file or each.sha256 in wanted)]


def _chosen(
    package: ForeignPackage, index: str, files: Sequence[IndexFile], python: str, policy: Policy
) -> Package:
    """Return the file of a distribution that fits this machine best.

    Raises:
        ValueError: there is none.
    """
    tags = set(wheel_tags(python))
    wheels = [
        each for each in files if each.is_wheel and not tags.isdisjoint(tags_of(each.file_name))
    ]
    sdists = [each for each in files if not each.is_wheel]
    allowed = {normalize(each) for each in policy.allow_sdist}
    if not wheels and (not sdists or (policy.wheels_only and package.name not in allowed)):
        kind = "it is there as an sdist only" if sdists else "no wheel of it"
        raise ValueError(f"{kind}, and none of its wheels fits Python {python} on this machine")
    name, version = canonicalize_name(package.name), Version(package.version)
    offered = LockedPackage(
        name=name,
        version=version,
        wheels=[*map(as_wheel, wheels)] or None,
        sdist=as_sdist(sdists[0]) if sdists and not wheels else None,
    )
    resolved = Resolved(package.name, str(version), index, requested=False, required_by=())
    return locked_file(offered, resolved, python)
