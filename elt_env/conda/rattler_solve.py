"""Solve a request with rattler, within what a request says of channels, platforms and dates."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import rattler

from elt_env.conda import rattler_errors, solvability
from elt_env.conda.channels import channel_of, is_from
from elt_env.conda.distributions import ARCHIVE_ERRORS, paths_of
from elt_env.conda.port import SolveRequest
from elt_env.conda.records import as_utc
from elt_env.conda.repodata import ChannelLook, NotHeld
from elt_env.conda.virtual import virtual_packages
from elt_env.errors import CondaUnsatisfiableError, SpecError
from elt_env.package.cooldown import last_before
from elt_env.spec.conda_spec import CondaSpec

_PRIORITIES = {
    "strict": rattler.ChannelPriority.Strict,
    "flexible": rattler.ChannelPriority.Flexible,
    "disabled": rattler.ChannelPriority.Disabled,
}

_Solve: TypeAlias = Callable[..., Coroutine[Any, Any, list[rattler.RepoDataRecord]]]


@dataclass(frozen=True)
class Search:
    """The search for the solution of one request.

    Attributes:
        channels: those of the request.
        channels_of: what the name of a channel stands for.
    """

    request: SolveRequest
    channels: Sequence[rattler.Channel]
    gateway: rattler.Gateway
    channels_of: Callable[[str], list[rattler.Channel]]

    async def solution(self, *, endless: bool) -> list[rattler.RepoDataRecord]:
        """Return the records of the solution.

        Args:
            endless: whether to ask for it though what the solver says of none may have no end.

        Raises:
            rattler.exceptions.SolverError: there is none.
            solvability.EndlessError: there is none, and why may have no end.
            rattler.exceptions.GatewayError: a channel does not answer.
            CondaUnsatisfiableError: a package is for another platform than its requirement names.
            SpecError: a requirement names a channel that has nothing.
        """
        request = self.request
        platforms = self._platforms()
        look = ChannelLook(self.gateway, platforms, self.channels, request.priority)
        specs = [await self._located(each, look) for each in request.specs]
        # py-rattler replaces the time zone of a cut-off by UTC instead of converting it.
        cut_off = as_utc(request.exclude_newer)
        cut_off = cut_off and last_before(cut_off)
        free = [
            NotHeld(self.gateway, each, request.not_held, cut_off)
            for each in self.channels
            if cut_off and request.not_held
        ]
        solve = functools.partial(
            rattler.solve,
            gateway=self.gateway,
            platforms=platforms,
            virtual_packages=virtual_packages(request),
            constraints=[str(each) for each in request.constraints],
            exclude_newer=cut_off,
            timestamp_policy="allow-missing",
            locked_packages=_allowed(await look.same(request.keep, self.channels), specs),
        )
        if not endless:
            await self._require_end(solve, free, specs)
        records = await solve(
            [*free, *self.channels],
            [str(each) for each in specs],
            channel_priority=_PRIORITIES[request.priority],
        )
        for source in free:
            source.give_back(records)
        _require_platforms(records, specs)
        return records

    def _platforms(self) -> list[rattler.Subdir]:
        return [rattler.Subdir(self.request.platform), rattler.Subdir("noarch")]

    async def _require_end(
        self, solve: _Solve, free: Sequence[NotHeld], specs: Sequence[CondaSpec]
    ) -> None:
        """Return when there is a solution, or what the solver says of none has an end."""
        # What a dependency can be had from is not what a requirement can be had from: without
        # channels and their order more is possible, and nothing less.
        attempt = solvability.Attempt([str(replace(each, channel="")) for each in specs])
        tried = await solve(
            [*free, *self.channels, attempt],
            [attempt.name],
            channel_priority=_PRIORITIES["disabled"],
        )
        if not attempt.succeeded(tried) and await solvability.need_each_other(
            self.gateway, self.channels, self._platforms(), [str(each) for each in specs]
        ):
            raise solvability.EndlessError

    async def _located(self, spec: CondaSpec, look: ChannelLook) -> CondaSpec:
        """Return a requirement that names its channel, if any, by URL."""
        if not spec.channel:
            return spec
        channels = self.channels_of(spec.channel)
        if not channels:
            raise SpecError(
                f"'{spec}' asks for the channel of conda-build, which made nothing here.",
                f"Name the channel that has {spec.name}, or none.",
            )
        chosen = channels[0] if len(channels) == 1 else await look.best(spec, channels)
        return replace(spec, channel=chosen.base_url.rstrip("/"))


def _allowed(
    records: Iterable[rattler.RepoDataRecord], specs: Iterable[CondaSpec]
) -> list[rattler.RepoDataRecord]:
    """Return the records that lie in the channels that requirements name for them."""
    named = {each.name: each.channel for each in specs if each.channel}
    return [
        each
        for each in records
        if is_from(each.url, [named.get(each.name.normalized, channel_of(each.url))])
    ]


def _require_platforms(
    records: Iterable[rattler.RepoDataRecord], specs: Iterable[CondaSpec]
) -> None:
    """Return when packages are of the platform that requirements name; rattler leaves that out."""
    wanted = {each.name: each.subdir for each in specs if each.subdir}
    for each in records:
        subdir = wanted.get(each.name.normalized, each.subdir)
        if subdir != each.subdir:
            raise CondaUnsatisfiableError(
                f"{each.file_name} is a package for {each.subdir}, and the spec asks for {subdir}.",
                f"Leave {subdir} out of it, or ask for a version that is there for {subdir}.",
            )


async def paths_of_all(
    records: Sequence[rattler.RepoDataRecord], client: rattler.Client
) -> list[tuple[rattler.RepoDataRecord, tuple[str, ...]]]:
    """Return records, each with the paths of its archive.

    Raises:
        NetworkError: an archive cannot be looked into.
    """
    paths = await asyncio.gather(*(_paths(record, client) for record in records))
    return list(zip(records, paths, strict=True))


async def _paths(record: rattler.RepoDataRecord, client: rattler.Client) -> tuple[str, ...]:
    try:
        return await paths_of(record, client)
    except ARCHIVE_ERRORS as error:
        found = rattler_errors.archive(str(error), record.url)
        raise rattler_errors.passing(found, str(error)) from error
