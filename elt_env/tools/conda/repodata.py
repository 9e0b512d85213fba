"""What the repodata of channels says about single packages."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import rattler

from elt_env.model.names import normalize
from elt_env.tools.conda.port import ChannelRelease
from elt_env.tools.conda.records import as_utc

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
        released_at=_dated(record),
    )


def _dated(record: rattler.RepoDataRecord) -> datetime | None:
    """Return the date that a cut-off looks at: when the channel got a package, else its build."""
    return as_utc(record.indexed_timestamp or record.timestamp)


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
