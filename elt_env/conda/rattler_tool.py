"""Conda through py-rattler, in this process."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import rattler
from rattler.exceptions import (
    GatewayError,
    InstallerError,
    InvalidChannelError,
    InvalidMatchSpecError,
    SolverError,
)

from elt_env.conda import rattler_errors, solvability
from elt_env.conda.archives import Archives
from elt_env.conda.carried import CarriedStore, carried_by, contents_of, read_archives
from elt_env.conda.channels import ChannelNames, channel_of, may_be_from, rattler_alias
from elt_env.conda.described import Describing
from elt_env.conda.distributions import ARCHIVE_ERRORS
from elt_env.conda.offered import OfferedBuilds, bare_record, offered
from elt_env.conda.port import Carried, ChannelRelease, SolveRequest
from elt_env.conda.rattler_client import open_client
from elt_env.conda.rattler_loop import TRIES, finish, patiently
from elt_env.conda.rattler_solve import Search, paths_of_all
from elt_env.conda.records import to_package, to_record
from elt_env.conda.repodata import read_releases
from elt_env.errors import SpecError, TimeLimitError
from elt_env.index.http_errors import refusal
from elt_env.lockfile.document import Package
from elt_env.lockfile.foreign.document import ForeignArchive
from elt_env.machine.process import Say, unheard
from elt_env.package.names import named_in
from elt_env.runtime.credentials import (
    WHERE_CREDENTIALS_BELONG,
    channel_carries_credentials,
    channel_host,
)
from elt_env.spec.conda_spec import CondaSpec

_LOOK_LIMIT = 120.0  # seconds


class Rattler:
    """The embedded solver; see Solver.

    Args:
        cache: directory for what is read of channels and of archives.
        names: what channel names stand for; None for what they are without any settings.
        limit: seconds that one solve may take.
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
        """Return the URLs that channels stand for; see Solver."""
        found = (each.base_url.rstrip("/") for each in self._channels(channels))
        return tuple(dict.fromkeys(found))

    def reachable(self, channels: tuple[str, ...]) -> bool:
        """Tell whether every channel answers."""

        async def names() -> None:
            gateway = self._gateway(open_client())
            await gateway.names(self._channels(channels), ["noarch"])

        try:
            finish(names(), "conda channel look-up", self._limit)
        except TimeLimitError:
            return False
        except GatewayError as error:
            stopped = refusal(str(error))
            if stopped:
                raise stopped from error
            return False
        return True

    def solve(self, request: SolveRequest, say: Say = unheard) -> tuple[Package, ...]:
        """Return the solution; see Solver."""
        tries = 1 if request.once else TRIES
        return patiently(lambda: self._solution(request, say), say, self._limit, tries)

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
        solution = finish(paths_of_all(records, open_client()), "conda solve", self._limit)
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
            return finish(self._search(request, channels), "conda solve", self._limit)
        except solvability.EndlessError as error:
            text = solvability.explanation(((self._cache, self._names, self._limit), request))
            raise SolverError(text) from error

    def explanation(self, request: SolveRequest) -> str:
        """Return what the solver says of a request without a solution; it may have no end."""
        try:
            work = self._search(request, self._channels(request.channels), endless=True)
            finish(work, "solve", self._limit)
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
        """Return every build of packages; see Solver."""

        async def read() -> dict[str, tuple[ChannelRelease, ...]]:
            gateway = self._gateway(open_client())
            return await read_releases(gateway, self._channels(channels), names, platform)

        limit = min(self._limit, _LOOK_LIMIT)

        def look() -> dict[str, tuple[ChannelRelease, ...]]:
            try:
                return finish(read(), "conda channel look-up", limit)
            except GatewayError as error:
                found = rattler_errors.channel(str(error), channels)
                raise rattler_errors.passing(found, str(error)) from error

        return patiently(look, unheard, self._limit)

    def names(self, channels: tuple[str, ...], platform: str) -> tuple[str, ...]:
        """Return the names of all packages on channels; see Solver."""

        async def read() -> list[rattler.PackageName]:
            gateway = self._gateway(open_client())
            subdirs = [rattler.Subdir(platform), rattler.Subdir("noarch")]
            return await gateway.names(self._channels(channels), subdirs)

        try:
            found = finish(read(), "conda channel look-up", min(self._limit, _LOOK_LIMIT))
        except GatewayError as error:
            raise rattler_errors.channel(str(error), channels) from error
        return tuple(sorted({each.normalized for each in found}))

    def offered(self, request: SolveRequest) -> OfferedBuilds:
        """Return what the request could bring; see Solver."""

        async def read() -> OfferedBuilds:
            gateway = self._gateway(open_client())
            platforms = [rattler.Subdir(request.platform), rattler.Subdir("noarch")]
            channels = self._channels(request.channels)
            named = {each.channel for each in request.specs if each.channel}
            urls = {each: self.channel_urls([each]) for each in named}
            return await offered(gateway, channels, platforms, request, urls)

        try:
            return finish(read(), "conda channel look-up", self._limit)
        except GatewayError as error:
            raise rattler_errors.channel(str(error), request.channels) from error

    def carried(self, packages: Sequence[Package]) -> tuple[tuple[Carried, ...], ...]:
        """Return the distributions that the archive of each package holds; see Solver."""
        store = CarriedStore(self._cache / "carried")
        known = tuple(store.read(each.sha256) for each in packages)
        if all(each is not None for each in known):
            return tuple(each for each in known if each is not None)
        return read_archives(packages, carried_by(packages, store, open_client()), self._limit)

    def described(self, archives: Sequence[ForeignArchive], say: Say) -> tuple[Package, ...]:
        """Return the packages at URLs; see Solver."""

        async def read() -> tuple[Package, ...]:
            client = open_client()
            describing = Describing(self._gateway(client), client, self._archives, say)
            return await describing.packages(archives)

        try:
            return finish(read(), "conda look-up", self._limit) if archives else ()
        except GatewayError as error:
            urls = tuple(sorted({channel_of(each.url) for each in archives}))
            raise rattler_errors.channel(str(error), urls) from error
        except (InstallerError, *ARCHIVE_ERRORS) as error:
            raise rattler_errors.unreadable(error, [each.url for each in archives]) from error

    def contents(self, packages: Sequence[Package]) -> tuple[Mapping[str, str], ...]:
        """Return by path what the archive of each package holds; see Solver."""
        if not packages:
            return ()
        return read_archives(packages, contents_of(packages, open_client()), self._limit)

    def admits(self, requirement: str, version: str) -> bool:
        """Tell whether a requirement admits a version without a build; see Solver."""
        record = bare_record(named_in(requirement), version)
        return rattler.MatchSpec(requirement).matches(record)

    def matches(self, spec: CondaSpec, package: Package) -> bool:
        """Tell whether a conda package satisfies a conda requirement."""
        if spec.channel and not may_be_from(package.url, self._urls(spec.channel)):
            return False
        if spec.subdir and package.conda and package.conda.subdir != spec.subdir:
            return False
        return rattler.MatchSpec(str(spec)).matches(to_record(package))

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


def _channel(url: str, named: str) -> rattler.Channel:
    try:
        return rattler.Channel(url)
    except InvalidChannelError as error:
        raise SpecError(
            f"'{named}' is not a channel: {error}.",
            "Write a name, a https:// URL or a file:// URL.",
        ) from error
