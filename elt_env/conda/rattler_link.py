"""Linking conda packages into a prefix through py-rattler, in this process."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import rattler
from rattler.exceptions import InstallerError
from rattler.install.installer import InstallerReporter
from rattler.package_cache.package_cache import PackageCache, PackageCacheLayer, ValidationMode

from elt_env.conda import rattler_errors
from elt_env.conda.archives import Archives
from elt_env.conda.distributions import ARCHIVE_ERRORS
from elt_env.conda.package_cache import is_as_archived, unpacked
from elt_env.conda.rattler_client import open_client
from elt_env.conda.rattler_loop import DOWNLOAD_TRIES, finish, patiently
from elt_env.conda.records import name_sources, to_record
from elt_env.errors import EltEnvError, IntegrityError
from elt_env.lockfile.document import Package
from elt_env.machine.logins import Logins
from elt_env.machine.process import Say
from elt_env.runtime.files import remove_abandoned, remove_tree, writing
from elt_env.store.last_use import mark_used

_Result = TypeVar("_Result")


class RattlerLinker:
    """The embedded linker; see Linker.

    Args:
        cache: directory for downloaded and extracted packages; on the disk of the prefixes, so
            that files are linked, not copied.
        limit: seconds that one link may take.
    """

    def __init__(self, cache: Path, limit: float) -> None:
        self._cache = cache
        self._limit = limit
        self._archives = Archives(cache / "archives")
        self.kept = self._archives.kept

    def link(
        self, packages: tuple[Package, ...], prefix: Path, requested: tuple[str, ...], say: Say
    ) -> None:
        """Make `prefix` hold exactly `packages`; see Linker."""
        with writing(self._cache):
            (self._cache / "pkgs").mkdir(parents=True, exist_ok=True)
        # What a killed link was extracting; no link that still runs is older than the limit.
        remove_abandoned((self._cache / "pkgs").glob(".*/"), self._limit)

        work = partial(self._link, packages, prefix, requested, say)
        self._downloading(work, packages, prefix, say)

    def archives(self, packages: tuple[Package, ...], say: Say) -> tuple[Path, ...]:
        """Return the archive of each package; see Linker."""
        found = self._downloading(
            lambda: self._archives.get(packages, open_client(), say), packages, self._cache, say
        )
        return tuple(found)

    def _downloading(
        self,
        work: Callable[[], Coroutine[Any, Any, _Result]],
        packages: tuple[Package, ...],
        place: Path,
        say: Say,
    ) -> _Result:
        """Return what comes of work at a place, for which archives may be downloaded."""

        def once() -> _Result:
            try:
                return finish(work(), "conda link", self._limit)
            except IntegrityError as error:
                raise (_page_instead(error.problem, packages) or error) from error
            except InstallerError as error:
                found = rattler_errors.link(str(error), packages, place)
                raise rattler_errors.passing(found, str(error)) from error

        return patiently(once, say, self._limit, DOWNLOAD_TRIES)

    async def _link(
        self, packages: tuple[Package, ...], prefix: Path, requested: tuple[str, ...], say: Say
    ) -> None:
        client = open_client()
        archives = await self._archives.get(packages, client, say)
        for package, archive in zip(packages, archives, strict=True):
            await self._drop_other(package, archive, say)
        # Full validation: an edit in place in another prefix reaches the cache through the link.
        layer = PackageCacheLayer(self._cache / "pkgs")
        local = map(located_at, packages, archives)
        await rattler.install(
            [to_record(each) for each in local],
            prefix,
            package_cache=PackageCache.from_layers(
                [layer.with_validation_mode(ValidationMode.full())]
            ),
            client=client,
            requested_specs=[rattler.MatchSpec(each)._match_spec for each in requested],  # noqa: SLF001  # it takes the inner value
            reporter=_Progress(say),  # type: ignore[abstract]  # the rest does nothing
        )
        name_sources(prefix, packages)

    async def _drop_other(self, package: Package, archive: Path, say: Say) -> None:
        """Drop what is cached of a package, but for what is told to be as its archive has it."""
        for each in unpacked(self._cache / "pkgs", package):
            try:
                same = await is_as_archived(each, archive, package)
            except ARCHIVE_ERRORS as error:
                raise rattler_errors.archive(str(error), package.url) from error
            if same:
                mark_used(each)  # before it is linked: garbage collection may look now
            else:
                say(f"conda: {each.name} is unpacked again: its archive alone tells what it holds")
                remove_tree(each)


class _Progress(InstallerReporter):
    """Says what rattler's installer does: the number of linked packages."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._linked = 0
        self._total = 0

    def on_transaction_start(self, total_operations: int) -> None:
        """Say how many packages there are."""
        self._total = total_operations
        self._say(f"conda: linking {total_operations} packages")

    def on_link_complete(self, index: int) -> None:
        """Say the number of linked packages, every tenth and at the end."""
        del index
        self._linked += 1
        if self._linked % 10 == 0 or self._linked == self._total:
            self._say(f"conda: linked {self._linked} of {self._total} packages")


def located_at(package: Package, archive: Path) -> Package:
    """Return a package as it lies on this disk."""
    return replace(package, url=archive.absolute().as_uri())


def _page_instead(text: str, packages: tuple[Package, ...]) -> EltEnvError | None:
    """Return the error for a web page that came in place of an archive, or None."""
    from elt_env.index.http_client import answers_with_page  # slow to load

    for each in packages:
        if each.file_name in text and answers_with_page(each.url, Logins()):
            return rattler_errors.page(each.url)
    return None
