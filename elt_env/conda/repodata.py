"""Look up single packages in the repodata of channels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import rattler

from elt_env.conda.channels import is_from
from elt_env.conda.port import ChannelRelease
from elt_env.conda.records import dated, to_record
from elt_env.lockfile.document import Package
from elt_env.package.names import normalize
from elt_env.project.policy import ChannelPriority
from elt_env.spec.conda_spec import CondaSpec

_NOARCH = "noarch"


async def read_releases(
    gateway: rattler.Gateway,
    channels: Sequence[rattler.Channel],
    names: Sequence[str],
    platform: str,
) -> dict[str, tuple[ChannelRelease, ...]]:
    """Return every build of packages in the first channel that has them, newest version first.

    Raises:
        rattler.exceptions.GatewayError: a channel does not answer, or not with repodata.
    """
    subdirs = [rattler.Subdir(platform), rattler.Subdir(_NOARCH)]
    found: dict[str, list[rattler.RepoDataRecord]] = {name: [] for name in names}
    for channel in channels:
        missing = [name for name, records in found.items() if not records]
        if missing:
            answer = await gateway.query([channel], subdirs, missing, recursive=False)
            for record in (each for some in answer for each in some):
                found[record.name.normalized].append(record)
    return {
        name: tuple(_release(each) for each in sorted(records, key=_order, reverse=True))
        for name, records in found.items()
    }


def _order(record: rattler.RepoDataRecord) -> tuple[rattler.VersionWithSource, int, str]:
    return record.version, record.build_number, str(record.build)


def _release(record: rattler.RepoDataRecord) -> ChannelRelease:
    return ChannelRelease(
        name=record.name.normalized,
        version=str(record.version),
        build=str(record.build),
        build_number=record.build_number,
        depends=tuple(record.depends),
        released_at=dated(record),
    )


@dataclass(frozen=True)
class ChannelLook:
    """Looks for single packages in the repodata of channels.

    Attributes:
        channels: the channels of a solve in their order.
        priority: how that order counts.
    """

    gateway: rattler.Gateway
    platforms: Sequence[rattler.Subdir]
    channels: Sequence[rattler.Channel] = ()
    priority: ChannelPriority = "strict"

    async def best(self, spec: CondaSpec, named: Sequence[rattler.Channel]) -> rattler.Channel:
        """Return the one of the channels with one name that a package is best taken from.

        It is the first that has what is required, in the order of `channels`, or without any
        priority the one that has the newest; the first of all where none has it.
        """
        places = [each.base_url for each in self.channels]
        ordered = sorted(named, key=lambda each: _position(each.base_url, places))
        wanted = rattler.MatchSpec(str(replace(spec, channel="")))
        newest = None
        for channel in ordered:
            records = filter(wanted.matches, await self._records([channel], [spec.name]))
            version = max((each.version for each in records), default=None)
            if version is None:
                continue
            if self.priority != "disabled":
                return channel
            if newest is None or newest[0] < version:
                newest = version, channel
        return newest[1] if newest else ordered[0]

    async def same(
        self, packages: Iterable[Package], channels: Sequence[rattler.Channel]
    ) -> list[rattler.RepoDataRecord]:
        """Return packages as records of the channels; what these have not is left out.

        A package that was locked from a mirror of a channel has another URL and the same hash.
        """
        urls = [each.base_url.rstrip("/") for each in channels]
        packages = list(packages)
        found = [to_record(each) for each in packages if is_from(each.url, urls)]
        hashes = {each.sha256: each.name for each in packages if not is_from(each.url, urls)}
        if hashes:
            records = await self._records(channels, sorted({*hashes.values()}))
            found += [each for each in records if each.sha256 and each.sha256.hex() in hashes]
        return found

    async def _records(
        self, channels: Sequence[rattler.Channel], names: Sequence[str]
    ) -> list[rattler.RepoDataRecord]:
        answer = await self.gateway.query(
            list(channels), list(self.platforms), list(names), recursive=False
        )
        return [each for some in answer for each in some]


def _position(url: str, places: Sequence[str]) -> int:
    return places.index(url) if url in places else len(places)


class NotHeld:
    """The packages of a channel that a cut-off does not concern, as a source of their own.

    py-rattler has one cut-off for all packages. What this source gives is as old as the cut-off
    asks for; the order of its dates stays, since the solver takes the youngest of equal builds.

    Args:
        names: the packages' normalized names.
    """

    def __init__(
        self,
        gateway: rattler.Gateway,
        channel: rattler.Channel,
        names: Iterable[str],
        cut_off: datetime,
    ) -> None:
        self._gateway = gateway
        self._channel = channel
        self._names = frozenset(names)
        self._cut_off = cut_off
        self._built: dict[str, datetime | None] = {}

    async def fetch_package_records(
        self, platform: rattler.Subdir, name: rattler.PackageName
    ) -> list[rattler.RepoDataRecord]:
        """Return the records of one package; none of a package that is held."""
        if normalize(name.normalized) not in self._names:
            return []
        answer = await self._gateway.query(
            [self._channel], [platform], [name.normalized], recursive=False
        )
        records = [each for some in answer for each in some]
        built = {each.url: each.timestamp for each in records}
        self._built |= built
        youngest = max((each for each in built.values() if each), default=self._cut_off)
        shift = max(youngest - self._cut_off, timedelta(0))
        for each in records:
            if each.timestamp:
                each.timestamp -= shift
            each.indexed_timestamp = None
        return records

    def package_names(self, platform: rattler.Subdir) -> list[str]:
        """Return no names: the channel itself tells them."""
        del platform
        return []

    def give_back(self, records: Iterable[rattler.RepoDataRecord]) -> None:
        """Give records their own dates again."""
        for each in records:
            if each.url in self._built:
                each.timestamp = self._built[each.url]
