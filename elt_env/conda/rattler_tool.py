"""Conda through py-rattler, in this process."""

from __future__ import annotations

import asyncio
import importlib.metadata
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import rattler
from rattler.exceptions import (
    GatewayError,
    InstallerError,
    InvalidChannelError,
    InvalidMatchSpecError,
    SolverError,
)
from rattler.package_cache.package_cache import PackageCache, PackageCacheLayer, ValidationMode

from elt_env.conda import rattler_errors, solvability
from elt_env.conda.archives import Archives
from elt_env.conda.carried import CarriedStore, carried_by, contents_of
from elt_env.conda.channels import ChannelNames, channel_of, may_be_from, rattler_alias
from elt_env.conda.described import Describing
from elt_env.conda.distributions import ARCHIVE_ERRORS
from elt_env.conda.offered import OfferedBuilds, bare_record, offered
from elt_env.conda.package_cache import is_as_archived, unpacked
from elt_env.conda.port import Carried, ChannelRelease, Offered, SolveRequest
from elt_env.conda.progress import LinkProgress
from elt_env.conda.rattler_client import open_client
from elt_env.conda.rattler_loop import run_within
from elt_env.conda.rattler_solve import Search, paths_of_all
from elt_env.conda.records import name_sources, to_package, to_record
from elt_env.conda.repodata import read_releases
from elt_env.errors import (
    EltEnvError,
    IntegrityError,
    NetworkError,
    SpecError,
    TimeLimitError,
)
from elt_env.index.http_errors import refusal
from elt_env.lockfile.document import Package
from elt_env.lockfile.foreign.document import ForeignArchive
from elt_env.machine.logins import Logins
from elt_env.machine.process import Say, unheard
from elt_env.package.names import named_in
from elt_env.runtime.credentials import (
    WHERE_CREDENTIALS_BELONG,
    channel_carries_credentials,
    channel_host,
)
from elt_env.runtime.files import remove_abandoned, remove_tree, writing
from elt_env.spec.conda_spec import CondaSpec
from elt_env.store.kept_files import KeptFiles
from elt_env.store.last_use import mark_used

_Result = TypeVar("_Result")
_LOOK_LIMIT = 120.0
_WAITING_LIMIT = 900.0  # seconds that servers may ask for, all together
# Where nobody answers, a person waits for the fallback; a download is worth more.
_TRIES = 2
_DOWNLOAD_TRIES = 4


class Rattler:
    """The embedded conda tool.

    Args:
        cache: directory for downloaded and extracted packages; on the disk of the prefixes, so
            that files are linked, not copied.
        names: what channel names stand for; None for what they are without any settings.
        limit: seconds that one solve or one link may take.
    """

    name = "rattler"

    def __init__(self, cache: Path, names: ChannelNames | None, limit: float) -> None:
        self._cache = cache
        self._names = names or ChannelNames(rattler_alias())
        self._limit = limit
        self._archives = Archives(cache / "archives")

    def version(self) -> str:
        """Return py-rattler's version."""
        return importlib.metadata.version("py-rattler")

    def channel_urls(self, channels: Iterable[str]) -> tuple[str, ...]:
        """Return the URLs that channels stand for; see CondaTool."""
        found = (each.base_url.rstrip("/") for each in self._channels(channels))
        return tuple(dict.fromkeys(found))

    def reachable(self, channels: tuple[str, ...]) -> bool:
        """Tell whether every channel answers."""

        async def names() -> None:
            gateway = self._gateway(open_client())
            await gateway.names(self._channels(channels), ["noarch"])

        try:
            self._run(names(), "conda channel look-up")
        except TimeLimitError:
            return False
        except GatewayError as error:
            stopped = refusal(str(error))
            if stopped:
                raise stopped from error
            return False
        return True

    def solve(self, request: SolveRequest, say: Say = unheard) -> tuple[Package, ...]:
        """Return the solution; see CondaTool."""
        tries = 1 if request.once else _TRIES
        return self._patiently(lambda: self._solution(request, say), say, tries)

    def _solution(self, request: SolveRequest, say: Say) -> tuple[Package, ...]:
        channels = self._channels(request.channels)
        specs = [str(each) for each in request.specs]
        try:
            records = self._records(request, channels, say)
        except SolverError as error:
            raise rattler_errors.unsatisfiable(str(error), specs, request.channels) from error
        except GatewayError as error:
            found = rattler_errors.channel(str(error), request.channels)
            raise rattler_errors.passing(found, str(error)) from error
        except InvalidMatchSpecError as error:
            raise SpecError(
                f"A conda requirement is not valid: {error}.", "Correct it in the spec."
            ) from error
        requested = {each.name for each in request.specs}
        solution = self._run(paths_of_all(records, open_client()), "conda solve")
        return tuple(
            sorted(
                (to_package(record, files, requested) for record, files in solution),
                key=lambda each: each.name,
            )
        )

    def _records(
        self, request: SolveRequest, channels: list[rattler.Channel], say: Say
    ) -> list[rattler.RepoDataRecord]:
        """Return the records of a solution; what the solver says of none is kept within limits."""
        del say
        try:
            return self._run(self._search(request, channels), "conda solve")
        except solvability.EndlessError as error:
            text = solvability.explanation(((self._cache, self._names, self._limit), request))
            raise SolverError(text) from error

    def explanation(self, request: SolveRequest) -> str:
        """Return what the solver says of a request without a solution; it may have no end."""
        try:
            self._run(
                self._search(request, self._channels(request.channels), endless=True), "solve"
            )
        except SolverError as error:
            return str(error)
        return ""

    async def _search(
        self, request: SolveRequest, channels: list[rattler.Channel], *, endless: bool = False
    ) -> list[rattler.RepoDataRecord]:
        search = Search(request, channels, self._gateway(open_client()), self._channels_of)
        return await search.solution(endless=endless)

    def _channels_of(self, channel: str) -> list[rattler.Channel]:
        return self._channels((channel,))

    def releases(
        self, channels: tuple[str, ...], names: tuple[str, ...], platform: str
    ) -> dict[str, tuple[ChannelRelease, ...]]:
        """Return every build of packages; see CondaTool."""

        async def read() -> dict[str, tuple[ChannelRelease, ...]]:
            gateway = self._gateway(open_client())
            return await read_releases(gateway, self._channels(channels), names, platform)

        limit = min(self._limit, _LOOK_LIMIT)

        def look() -> dict[str, tuple[ChannelRelease, ...]]:
            try:
                return self._run(read(), "conda channel look-up", limit)
            except GatewayError as error:
                found = rattler_errors.channel(str(error), channels)
                raise rattler_errors.passing(found, str(error)) from error

        return self._patiently(look, unheard)

    def names(self, channels: tuple[str, ...], platform: str) -> tuple[str, ...]:
        """Return the names of all packages on channels; see CondaTool."""

        async def read() -> list[rattler.PackageName]:
            gateway = self._gateway(open_client())
            subdirs = [rattler.Subdir(platform), rattler.Subdir("noarch")]
            return await gateway.names(self._channels(channels), subdirs)

        try:
            found = self._run(read(), "conda channel look-up", min(self._limit, _LOOK_LIMIT))
        except GatewayError as error:
            raise rattler_errors.channel(str(error), channels) from error
        return tuple(sorted({each.normalized for each in found}))

    def offered(self, request: SolveRequest) -> Offered:
        """Return what the request could bring; see CondaTool."""
        return self._offered(request)

    def _offered(self, request: SolveRequest) -> OfferedBuilds:
        async def read() -> OfferedBuilds:
            gateway = self._gateway(open_client())
            platforms = [rattler.Subdir(request.platform), rattler.Subdir("noarch")]
            channels = self._channels(request.channels)
            named = {each.channel for each in request.specs if each.channel}
            urls = {each: self.channel_urls([each]) for each in named}
            return await offered(gateway, channels, platforms, request, urls)

        try:
            return self._run(read(), "conda channel look-up")
        except GatewayError as error:
            raise rattler_errors.channel(str(error), request.channels) from error

    def carried(self, packages: Sequence[Package]) -> tuple[tuple[Carried, ...], ...]:
        """Return the distributions that the archive of each package holds; see CondaTool."""
        store = CarriedStore(self._cache / "carried")
        known = tuple(store.read(each.sha256) for each in packages)
        if all(each is not None for each in known):
            return tuple(each for each in known if each is not None)
        return self._read(packages, carried_by(packages, store, open_client()))

    def described(self, archives: Sequence[ForeignArchive], say: Say) -> tuple[Package, ...]:
        """Return the packages at URLs; see CondaTool."""

        async def read() -> tuple[Package, ...]:
            client = open_client()
            describing = Describing(self._gateway(client), client, self._archives, say)
            return await describing.packages(archives)

        try:
            return self._run(read(), "conda look-up") if archives else ()
        except GatewayError as error:
            urls = tuple(sorted({channel_of(each.url) for each in archives}))
            raise rattler_errors.channel(str(error), urls) from error
        except (InstallerError, *ARCHIVE_ERRORS) as error:
            raise _unreadable(error, [each.url for each in archives]) from error

    def contents(self, packages: Sequence[Package]) -> tuple[Mapping[str, str], ...]:
        """Return by path what the archive of each package holds; see CondaTool."""
        return self._read(packages, contents_of(packages, open_client())) if packages else ()

    def _read(self, packages: Sequence[Package], work: Coroutine[Any, Any, _Result]) -> _Result:
        """Return what is read of archives."""
        try:
            return self._run(work, "conda archive look-up")
        except ARCHIVE_ERRORS as error:
            raise _unreadable(error, [each.url for each in packages]) from error

    def admits(self, requirement: str, version: str) -> bool:
        """Tell whether a requirement admits a version without a build; see CondaTool."""
        record = bare_record(named_in(requirement), version)
        return rattler.MatchSpec(requirement).matches(record)

    def matches(self, spec: CondaSpec, package: Package) -> bool:
        """Tell whether a conda package satisfies a conda requirement."""
        if spec.channel and not may_be_from(package.url, self._urls(spec.channel)):
            return False
        if spec.subdir and package.conda and package.conda.subdir != spec.subdir:
            return False
        return rattler.MatchSpec(str(spec)).matches(to_record(package))

    def link(
        self, packages: tuple[Package, ...], prefix: Path, requested: tuple[str, ...], say: Say
    ) -> None:
        """Make `prefix` hold exactly `packages`; see CondaTool."""
        with writing(self._cache):
            (self._cache / "pkgs").mkdir(parents=True, exist_ok=True)
        # What a killed link was extracting; no link that still runs is older than the limit.
        remove_abandoned((self._cache / "pkgs").glob(".*/"), self._limit)

        work = partial(self._link, packages, prefix, requested, say)
        self._downloading(work, packages, prefix, say)

    @property
    def kept(self) -> KeptFiles:
        """What is looked through before anything is downloaded; see CondaTool."""
        return self._archives.kept

    def archives(self, packages: tuple[Package, ...], say: Say) -> tuple[Path, ...]:
        """Return the archive of each package; see CondaTool."""

        async def get() -> list[Path]:
            return await self._archives.get(packages, open_client(), say)

        return tuple(self._downloading(get, packages, self._cache, say))

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
                return self._run(work(), "conda link")
            except IntegrityError as error:
                raise (_page_instead(error.problem, packages) or error) from error
            except InstallerError as error:
                found = rattler_errors.link(str(error), packages, place)
                raise rattler_errors.passing(found, str(error)) from error

        return self._patiently(once, say, tries=_DOWNLOAD_TRIES)

    def _patiently(self, work: Callable[[], _Result], say: Say, tries: int = _TRIES) -> _Result:
        from elt_env.index.http_client import patiently  # slow to load

        return patiently(
            work, logins=Logins(), tries=tries, limit=min(self._limit, _WAITING_LIMIT), say=say
        )

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
            reporter=LinkProgress(say),  # type: ignore[abstract]  # the rest does nothing
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

    def _gateway(self, client: rattler.Client) -> rattler.Gateway:
        # A gateway that is used again answers from memory after a channel was indexed anew.
        return rattler.Gateway(cache_dir=self._cache / "repodata", client=client)

    def _channels(self, channels: Iterable[str]) -> list[rattler.Channel]:
        return [_channel(url, each) for each in channels for url in self._urls(each)]

    def _urls(self, channel: str) -> tuple[str, ...]:
        if channel_carries_credentials(channel):
            host = channel_host(channel)
            raise SpecError(
                f"The channel{f' at {host}' if host else ''} carries a credential.",
                WHERE_CREDENTIALS_BELONG,
            )
        return self._names.urls(channel)

    def _run(
        self, work: Coroutine[Any, Any, _Result], what: str, limit: float | None = None
    ) -> _Result:
        seconds = self._limit if limit is None else limit
        try:
            return run_within(work, seconds)
        except asyncio.TimeoutError as error:
            raise TimeLimitError(
                f"{what} took longer than {seconds:.0f} s and was ended.",
                "Run it again, or raise tool-limit in [tool.elt-env].",
            ) from error


def _unreadable(error: Exception, urls: Sequence[str]) -> NetworkError:
    about = next((each for each in urls if each in str(error)), urls[0])
    return rattler_errors.archive(str(error), about)


def located_at(package: Package, archive: Path) -> Package:
    """Return a package as it lies on this disk."""
    return replace(package, url=archive.absolute().as_uri())


def _channel(url: str, named: str) -> rattler.Channel:
    try:
        return rattler.Channel(url)
    except InvalidChannelError as error:
        raise SpecError(
            f"'{named}' is not a channel: {error}.",
            "Write a name, a https:// URL or a file:// URL.",
        ) from error


def _page_instead(text: str, packages: tuple[Package, ...]) -> EltEnvError | None:
    """Return the error for a web page that came in place of an archive, or None."""
    from elt_env.index.http_client import answers_with_page  # slow to load

    for each in packages:
        if each.file_name in text and answers_with_page(each.url, Logins()):
            return rattler_errors.page(each.url)
    return None
