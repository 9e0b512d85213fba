"""An index of what one request may choose from, for one Python.

The rules of a request that no two resolvers know alike are applied here: the order of the indexes,
the cool-down, withdrawn files, wheels and sdists, the tags of the platform, Requires-Python and
markers. What is left of a distribution is one file a version, which fits, with metadata that hold.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.pylock import Package as Files
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from elt_env.index.download import Downloads
from elt_env.index.package_index import PackageIndex
from elt_env.index.project_page import IndexFile
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import Indexes
from elt_env.package.cooldown import is_too_young
from elt_env.package.names import normalize
from elt_env.pip.locked_file import as_sdist, as_wheel, locked_file
from elt_env.pip.one_python import metadata_under, requirements_under
from elt_env.pip.port import Resolved, ResolveRequest
from elt_env.python.sdist_metadata import read_sdist_metadata
from elt_env.python.wheel import open_wheel
from elt_env.python.wheel_tags import tags_of, wheel_tags
from elt_env.spec.markers import admits_python

_A_WHILE = 600.0  # seconds for which a page serves requests that need not be fresh


@dataclass(frozen=True)
class Sources:
    """Where distributions and their metadata come from.

    Attributes:
        indexes: the indexes in their order, the main one among them.
        cache: the directory of their pages.
        downloads: fetches what tells its metadata in no other way.
        build: returns the wheel of an sdist, for an interpreter's full version.
    """

    indexes: Indexes
    cache: Path
    downloads: Downloads
    build: Callable[[Package, str, Indexes], Path]

    @cached_property
    def pages(self) -> PackageIndex:
        """What reads the pages."""
        return PackageIndex(self.indexes, self.cache)


@dataclass(frozen=True)
class _Allowed:
    """The files of a distribution that may be taken, by version, and the URL of their index."""

    index: str
    files: dict[str, list[IndexFile]] = field(default_factory=dict)


class RequestIndex:
    """The distributions that a request lets through; a Shelf that has all of them.

    Args:
        request: the request.
        sources: where they come from.

    Attributes:
        requirements: what is asked for, without markers, and with versions in place of URLs.
        failure: what kept it from an answer to the resolver, if anything did.
    """

    beside: tuple[tuple[str, str], ...] = ()

    def __init__(self, request: ResolveRequest, sources: Sources) -> None:
        self._request = request
        self._sources = sources
        self._tags = frozenset(wheel_tags(request.python))
        self._pages: dict[str, _Allowed | None] = {}
        self._metadata: dict[tuple[str, str], str] = {}
        self._here: dict[str, tuple[Path, str]] = {}  # wheels on this disk, and their versions
        self.failure: Exception | None = None
        asked = requirements_under(request.requirements, request.python)
        self.requirements = tuple(map(self._placed, asked))
        bounds = requirements_under(request.bounds, request.python)
        self._bounds: dict[str, SpecifierSet] = {}
        pins = [Requirement(f"{name}=={version}") for name, version in request.pins]
        for each in (*pins, *bounds):
            name = normalize(each.name)
            self._bounds[name] = self._bounds.get(name, SpecifierSet()) & each.specifier
        self._pinned = {
            (normalize(each.name), one.version)
            for each in (*self.requirements, *bounds)
            for one in each.specifier
            if one.operator in ("==", "===")
        } | set(request.pins)

    def _placed(self, requirement: Requirement) -> Requirement:
        """Return a requirement on a wheel on this disk as one on its version."""
        if requirement.url is None:
            return requirement
        path = Path(unquote(urlsplit(requirement.url).path))
        with open_wheel(path) as wheel:
            version = wheel.version
        self._here[normalize(requirement.name)] = path, version
        extras = f"[{','.join(sorted(requirement.extras))}]" if requirement.extras else ""
        return Requirement(f"{requirement.name}{extras}=={version}")

    def versions(self, name: str) -> tuple[str, ...] | None:
        """Return the versions of a distribution within the bounds; None where there is none."""
        bound = self._bounds.get(name)
        try:
            found = self._versions(name)
            if found is None or bound is None:
                return found
            return tuple(each for each in found if bound.contains(each, prereleases=True))
        except Exception as error:  # noqa: BLE001  # it is raised where the resolver has ended
            self.failure = self.failure or error
            return None

    def _versions(self, name: str) -> tuple[str, ...] | None:
        shelf = self._request.shelf
        own = shelf.versions(name) if shelf else None
        if own is not None:
            return own
        if name in self._here:
            return (self._here[name][1],)
        beside = [version for each, version in (shelf.beside if shelf else ()) if each == name]
        page = self._page(name)
        if page is None and not beside:
            return None
        return (*sorted(page.files if page else ()), *beside)

    def is_on_shelf(self, name: str, version: str) -> bool:
        """Tell whether a version is one of the request's own shelf."""
        shelf = self._request.shelf
        return shelf is not None and (
            (name, version) in shelf.beside or shelf.versions(name) is not None
        )

    def index_of(self, name: str) -> str:
        """Return the URL of the index that a distribution is on, "" where it is on none."""
        page = None if name in self._here else self._page(name)
        return page.index if page else ""

    def metadata(self, name: str, version: str) -> str:
        """Return the core metadata of a version under the request's Python.

        Raises:
            KeyError: there is no such version, or its metadata cannot be had.
        """
        if (name, version) not in self._metadata:
            try:
                text = self._text(name, version)
            except KeyError:
                raise
            except Exception as error:  # as in versions
                self.failure = self.failure or error
                raise KeyError(name) from error
            self._metadata[name, version] = metadata_under(text, self._request.python)
        return self._metadata[name, version]

    def _text(self, name: str, version: str) -> str:
        shelf = self._request.shelf
        if shelf is not None and self.is_on_shelf(name, version):
            return shelf.metadata(name, version)
        if name in self._here:
            return _metadata_in(self._here[name][0])
        locked = self.file(Resolved(name, version, self.index_of(name), False, ()))  # noqa: FBT003
        file = next(each for each in self._allowed_files(name, version) if each.url == locked.url)
        if not file.is_wheel:
            return self._of_sdist(locked)
        told = self._sources.pages.metadata([file])[0]
        return told or _metadata_in(self._fetched(locked))

    def _of_sdist(self, locked: Package) -> str:
        told = read_sdist_metadata(self._fetched(locked))
        sources = self._sources
        return told or _metadata_in(sources.build(locked, self._request.python, sources.indexes))

    def _fetched(self, locked: Package) -> Path:
        if locked.sha256:
            return self._sources.downloads.fetch(locked.url, locked.sha256)
        return self._sources.downloads.fetch_new(locked.url)

    def file(self, resolved: Resolved) -> Package:
        """Return the one file of a version that is to be locked.

        Raises:
            NoWheelError: no file of it may be taken.
        """
        files = self._allowed_files(resolved.name, resolved.version)
        sdists = [each for each in files if not each.is_wheel]
        package = Files(
            name=canonicalize_name(resolved.name),
            version=Version(resolved.version),
            wheels=[as_wheel(each) for each in files if each.is_wheel],
            sdist=as_sdist(sdists[0]) if sdists else None,
        )
        hashes = dict(self._request.hashes).get(resolved.name, ())
        return locked_file(package, resolved, self._request.python, hashes)

    def _allowed_files(self, name: str, version: str) -> list[IndexFile]:
        """Return the files of a version that may be taken; withdrawn ones where all of them are."""
        page = self._page(name)
        allowed = page.files.get(str(Version(version)), []) if page else []
        return [each for each in allowed if each.yanked is None] or allowed

    def _page(self, name: str) -> _Allowed | None:
        """Return what may be taken: of the first index that has a distribution, and of all links.

        None where none of these has it.
        """
        if name not in self._pages:
            self._pages[name] = self._looked(name)
        return self._pages[name]

    def _looked(self, name: str) -> _Allowed | None:
        pages, indexes = self._sources.pages, self._sources.indexes
        max_age = 0.0 if self._request.fresh else _A_WHILE
        linked = pages.linked(name)  # the cool-down is one of indexes
        for index in () if indexes.no_index else indexes.all:
            answer = pages.look({name: index.url}, may_lack=True, max_age=max_age)
            if name in answer.pages:
                files = [each for each in answer.pages[name].files if not self._is_held(name, each)]
                return self._allowed(name, index.url, (*files, *linked))
        return self._allowed(name, "", linked) if linked else None

    def _allowed(self, name: str, index: str, files: Iterable[IndexFile]) -> _Allowed:
        found = _Allowed(index)
        for each in files:
            if self._is_allowed(name, each):
                found.files.setdefault(each.version, []).append(each)
        return found

    def _is_allowed(self, name: str, file: IndexFile) -> bool:
        """Tell whether the request lets a file through."""
        request = self._request
        if file.yanked is not None and (name, file.version) not in self._pinned:
            return False
        return (
            self._is_format(name, file)
            and admits_python(file.requires_python, request.python)
            and (not file.is_wheel or not self._tags.isdisjoint(tags_of(file.file_name)))
        )

    def _is_format(self, name: str, file: IndexFile) -> bool:
        request = self._request
        as_sdist = _names(request.no_binary) | ({*request.allow_sdist} & {name})
        wheels = {":all:"} if request.wheels_only else _names(request.only_binary)
        if name in as_sdist:
            return not file.is_wheel
        if name in wheels:
            return file.is_wheel
        if ":all:" in as_sdist:
            return not file.is_wheel
        return file.is_wheel or ":all:" not in wheels

    def _is_held(self, name: str, file: IndexFile) -> bool:
        limit = self._request.exclude_newer
        if limit is None or name in self._request.not_held:
            return False
        if file.uploaded is None:
            return self._request.undated == "hold"
        return is_too_young(file.uploaded, limit)


def _names(names: Iterable[str]) -> set[str]:
    return {each if each.startswith(":") else normalize(each) for each in names}


def _metadata_in(path: Path) -> str:
    """Return the core metadata of a wheel that is here.

    Raises:
        IntegrityError: it is not a wheel, or a damaged one.
    """
    with open_wheel(path) as wheel:
        return wheel.archive.read(f"{wheel.dist_info}/METADATA").decode()
