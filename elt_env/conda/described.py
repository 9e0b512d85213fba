"""Describe conda packages that are known by their URLs, as their channels or they themselves do."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from urllib.parse import unquote

import rattler

from elt_env.conda.archives import Archives
from elt_env.conda.channels import channel_of
from elt_env.conda.distributions import listed_paths, open_archive, paths_of
from elt_env.conda.records import to_package
from elt_env.errors import InputError, IntegrityError
from elt_env.lockfile.document import Package
from elt_env.lockfile.foreign.document import ForeignArchive
from elt_env.machine.process import Say

_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*(-[A-Za-z0-9_.+!~]+){2}\.(conda|tar\.bz2)")
_SUBDIR = re.compile(r"noarch|[a-z0-9]+-[a-z0-9_]+")
_AT_ONCE = 16
_REMEDY = "If the channel is to be trusted, write its hash into the file."


class Describing:
    """Describes archives.

    Args:
        gateway: reads the repodata of channels.
        client: downloads.
        archives: where what no repodata has is kept.
    """

    def __init__(
        self, gateway: rattler.Gateway, client: rattler.Client, archives: Archives, say: Say
    ) -> None:
        self._gateway = gateway
        self._client = client
        self._archives = archives
        self._say = say

    async def packages(self, archives: Sequence[ForeignArchive]) -> tuple[Package, ...]:
        """Return the packages at URLs, in their order.

        Raises:
            InputError: a URL is none of a conda package, or says no sha256 that could be checked.
            IntegrityError: a package has another hash than is told.
            rattler.exceptions.GatewayError: a channel does not answer.
            OSError, ValueError, LookupError, TypeError: an archive cannot be read.
        """
        _require_packages(archives)
        listed = await self._listed(archives)
        _require_same(archives, listed)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(archive: ForeignArchive) -> Package:
            async with gate:
                record = listed.get(archive.url)
                if record is None:
                    return await self._from_archive(archive)
                paths = await paths_of(record, self._client)
                return replace(to_package(record, paths, set()), url=archive.url)

        return tuple(await asyncio.gather(*map(one, archives)))

    async def _listed(
        self, archives: Sequence[ForeignArchive]
    ) -> dict[str, rattler.RepoDataRecord]:
        """Return what channels say of their packages, by URL."""
        places: dict[tuple[str, str], dict[str, str]] = {}
        for each in archives:
            channel, subdir, file = _parts(each.url)
            places.setdefault((channel, subdir), {})[file] = each.url
        found: dict[str, rattler.RepoDataRecord] = {}
        for (channel, subdir), urls in places.items():
            names = sorted({_name_in(file) for file in urls})
            answer = await self._gateway.query(
                [rattler.Channel(channel)], [rattler.Subdir(subdir)], names, recursive=False
            )
            records = [each for some in answer for each in some]
            found |= {urls[each.file_name]: each for each in records if each.file_name in urls}
        return found

    async def _from_archive(self, archive: ForeignArchive) -> Package:
        """Return a package that its channel lists no longer, as it describes itself."""
        if not archive.sha256:
            raise InputError(
                f"{archive.url} is not listed by its channel, and no sha256 of it is told.",
                "Name it with its hash, as conda list --explicit --sha256 does.",
            )
        _, _, file = _parts(archive.url)
        stub = Package("conda", _name_in(file), "", archive.url, archive.sha256)
        (path,) = await self._archives.get([stub], self._client, self._say)
        record = await rattler.RepoDataRecord.from_package_archive(path)
        paths = await listed_paths(await open_archive(path.absolute().as_uri(), self._client))
        return replace(to_package(record, tuple(paths), set()), url=archive.url)


def _parts(url: str) -> tuple[str, str, str]:
    """Return the channel, the subdir and the file that the URL of a package names."""
    subdir, _, file = url.removeprefix(f"{channel_of(url)}/").partition("/")
    return channel_of(url), subdir, unquote(file)


def _name_in(file: str) -> str:
    return file.rsplit("-", maxsplit=2)[0].lower()


def _require_packages(archives: Sequence[ForeignArchive]) -> None:
    wrong = [
        each.url
        for each in archives
        for _, subdir, file in (_parts(each.url),)
        if not _SUBDIR.fullmatch(subdir) or not _FILE.fullmatch(file) or ".." in each.url
    ]
    if wrong:
        raise InputError(
            f"These are no URLs of conda packages: {', '.join(map(repr, wrong))}.",
            "Write CHANNEL/SUBDIR/NAME-VERSION-BUILD.conda, as conda list --explicit does.",
        )


def _require_same(
    archives: Sequence[ForeignArchive], listed: Mapping[str, rattler.RepoDataRecord]
) -> None:
    """Return when the hashes that are told are those that the channels tell."""
    wrong = []
    for each in archives:
        record = listed.get(each.url)
        known = {"sha256": record.sha256, "md5": record.md5} if record else {}
        for kind, told in (("sha256", each.sha256), ("md5", each.md5)):
            found = known.get(kind)
            if told and found and found.hex() != told:
                wrong.append(f"{each.url}: {kind} {told} is told, its channel has {found.hex()}")
    if wrong:
        raise IntegrityError("Hash mismatch of conda packages:\n  " + "\n  ".join(wrong), _REMEDY)
