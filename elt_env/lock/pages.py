"""The pages of projects on the indexes, each read once while a lock is made."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.version import Version

from elt_env.environment.locked_files import PipFiles
from elt_env.errors import EltEnvError, IndexUnreachableError
from elt_env.index.project_page import IndexFile, ProjectPage
from elt_env.lock.joint_shelf import needs_in
from elt_env.lock.solve import read_ahead
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.pip.port import Resolved
from elt_env.python.sdist_metadata import read_sdist_metadata

if TYPE_CHECKING:
    from elt_env.index.package_index import PackageIndex

_A_WHILE = 600.0  # seconds for which the pages that were read ahead are taken


class Pages:
    """The pages of projects, each read once, from the first index that has it.

    Args:
        package_index: the pages of the indexes.
        files: where the files of packages come from, and the indexes.
        say: told what could not be read.
    """

    def __init__(self, package_index: PackageIndex, files: PipFiles, say: Say) -> None:
        self._package_index = package_index
        self._files = files
        self._say = say
        self._known: dict[str, ProjectPage] = {}
        self._asked: set[tuple[str, str]] = set()
        self._gone: set[tuple[str, str]] = set()
        self._own: str | None = None
        self._unknown: set[str] = set()
        self._needs: dict[tuple[str, str], tuple[Requirement, ...] | None] = {}
        self._max_age = 0.0

    def expect(self, previous: Lock | None) -> None:
        """Take the pages that were read ahead for a lock made before; see `read_ahead`."""
        if previous is not None:
            read_ahead(previous, self._package_index)
            self._max_age = _A_WHILE

    def learn(self, resolved: Iterable[Resolved]) -> None:
        """Remember the index that the resolver has by itself, where no settings name one."""
        if self._files.indexes.default is None:
            extra = {each.url for each in self._files.indexes.extra}
            new = sorted({each.index for each in resolved if not each.on_shelf} - extra)
            self._own = new[0] if len(new) == 1 else self._own

    @property
    def is_lost(self) -> bool:
        """Whether no index is known yet, since only the resolver knows where it looks."""
        return not self._files.indexes.all and self._own is None

    def read(self, names: Iterable[str]) -> Mapping[str, ProjectPage]:
        """Return the pages of projects; what no index has is left out, and what cannot be read."""
        wanted = set(names)
        urls = [each.url for each in self._files.indexes.all]
        for url in [*urls, *([self._own] if self._own else [])]:
            missing = sorted(wanted - self._known.keys() - self._unknown)
            asked = {each: url for each in missing if (url, each) not in self._asked}
            self._asked |= {(url, each) for each in asked}
            if asked:
                self._known |= self._look(asked)
        return {each: self._known[each] for each in sorted(wanted & self._known.keys())}

    def missing(self, names: Iterable[str]) -> frozenset[str]:
        """Return the projects that no index has, as far as all of the indexes answer."""
        wanted = set(names)
        lost = wanted - self.read(wanted).keys()
        is_whole = self._files.indexes.default is not None or self._own is not None
        links = self._files.indexes.links
        return frozenset(lost) if is_whole and not links and not self._unknown else frozenset()

    @property
    def known(self) -> Mapping[str, ProjectPage]:
        """The pages that were read."""
        return dict(self._known)

    def is_nowhere(self, name: str) -> bool:
        """Tell whether all indexes answer that they have no such project."""
        self.read([name])
        asked = {each for each in self._asked if each[1] == name}
        return bool(asked) and asked <= self._gone

    def needs(
        self, wanted: Iterable[tuple[str, str]]
    ) -> Mapping[tuple[str, str], tuple[Requirement, ...]]:
        """Return what distributions need by their own metadata, by name and version.

        What has no wheel, or one whose metadata cannot be had without a download, is left out; of
        what may be built, the sdist is looked into.
        """
        asked = {(name, version): (name, str(Version(version))) for name, version in wanted}
        new = {*asked.values()} - self._needs.keys()
        pages = self.read(name for name, _ in new)
        files = {each: pages[each[0]].of(each[1]) for each in new if each[0] in pages}
        wheels = {each: file for each, some in files.items() for file in some if file.is_wheel}
        texts = self._package_index.metadata([*wheels.values()]) if wheels else ()
        self._needs |= dict.fromkeys(new)
        self._needs |= {each: _needs_in(text) for each, text in zip(wheels, texts, strict=True)}
        allowed = {normalize(each) for each in self._files.policy.allow_sdist}
        for each in files.keys() - wheels.keys():
            if each[0] in allowed:
                self._needs[each] = self._needs_of_sdist(files[each])
        found = {each: self._needs[key] for each, key in asked.items()}
        return {each: needs for each, needs in found.items() if needs is not None}

    def _needs_of_sdist(self, files: Iterable[IndexFile]) -> tuple[Requirement, ...] | None:
        for each in files:
            try:
                path = self._files.downloads.fetch(each.url, each.sha256) if each.sha256 else None
            except EltEnvError:
                path = None
            if path is not None:
                return _needs_in(read_sdist_metadata(path))
        return None

    def _look(self, asked: Mapping[str, str]) -> Mapping[str, ProjectPage]:
        index = self._package_index
        try:
            looked = index.look(asked, may_lack=True, max_age=self._max_age)
        except IndexUnreachableError as error:
            # It may have them: what the next index has of that name is not theirs.
            self._unknown |= asked.keys()
            self._say(
                "which versions there are, and for which Pythons, is not known, so that "
                f"the newest may not be found: {error.headline}",
                logging.WARNING,
            )
            return {}
        self._gone |= {(asked[each], each) for each in looked.gone}
        return looked.pages


def _needs_in(metadata: str | None) -> tuple[Requirement, ...] | None:
    return None if metadata is None else needs_in(metadata)
