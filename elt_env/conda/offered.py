"""The builds that channels offer to a conda solve."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import rattler
from rattler.exceptions import InvalidMatchSpecError
from rattler.package.build_string import BuildString

from elt_env.conda.channels import channel_of
from elt_env.conda.port import LeftOut, SolveRequest
from elt_env.conda.records import as_utc, dated, to_package
from elt_env.conda.virtual import virtual_packages
from elt_env.lockfile.document import Package
from elt_env.package.cooldown import is_too_young
from elt_env.package.names import named_in, normalize
from elt_env.project.policy import ChannelPriority
from elt_env.spec.conda_spec import CondaSpec


@dataclass(frozen=True)
class ChannelRules:
    """Which builds of which channels a solve may take.

    Attributes:
        priority: how the order of the channels counts.
        places: the position of each channel by its URL, the first has 0.
        cut_off: only what is older is taken; None takes all.
        free: normalized names that the cut-off does not concern.
        named: the URLs that stand for the channels that requirements name, by what they say.
        virtual: the virtual packages of this machine.
    """

    priority: ChannelPriority
    places: Mapping[str, int]
    cut_off: datetime | None
    free: frozenset[str]
    named: Mapping[str, Sequence[str]]
    virtual: Mapping[str, rattler.PackageRecord]

    def old_enough(self, record: rattler.RepoDataRecord) -> bool:
        """Tell whether the cut-off leaves a build; what has no date is left."""
        if self.cut_off is None or normalize(record.name.normalized) in self.free:
            return True
        moment = dated(record)
        return moment is None or not is_too_young(moment, self.cut_off)


class OfferedBuilds:
    """The builds that a solve may choose from, by the name of their package, the best first.

    With strict priority the first channel that has what is asked for of a package gives all of its
    builds; with flexible priority its builds are better than any of a later channel. A requirement
    that names a channel takes them from there. A build that can have no place in any solution is
    left out: one that is too young, or that needs or excludes a virtual package as this machine has
    it.

    Args:
        found: all builds of the channels by name, with the position of their channel.
        rules: which of them may be taken.
        specs: what is asked for.
    """

    def __init__(
        self,
        found: Mapping[str, Sequence[tuple[int, rattler.RepoDataRecord]]],
        rules: ChannelRules,
        specs: Iterable[CondaSpec],
    ) -> None:
        self._found = found
        self._rules = rules
        self._asked: dict[str, list[CondaSpec]] = {}
        for each in specs:
            self._asked.setdefault(each.name, []).append(each)
        self._specs: dict[str, rattler.MatchSpec | None] = {}
        self._fits: dict[str, bool] = {}
        self._left: dict[str, tuple[rattler.RepoDataRecord, ...]] = {}
        self._packages: dict[str, tuple[Package, ...]] = {}
        self._constrained: frozenset[str] | None = None

    def asking(self, specs: Iterable[CondaSpec]) -> OfferedBuilds:
        """Return what is offered to other requirements on the same packages; see Offered."""
        return OfferedBuilds(self._found, self._rules, specs)

    @property
    def constrained(self) -> frozenset[str]:
        """The names that some build does not need, but has a requirement on where it is there."""
        if self._constrained is None:
            found = (
                each for some in self._found.values() for _, one in some for each in one.constrains
            )
            self._constrained = frozenset(map(named_in, found))
        return self._constrained

    def builds(self, name: str) -> tuple[Package, ...]:
        """Return the builds of a package, the best first; () when there are none."""
        if name not in self._packages:
            self._packages[name] = tuple(
                to_package(each, (), set()) for each in self._records(name)
            )
        return self._packages[name]

    def records(self) -> Iterator[tuple[int, rattler.RepoDataRecord]]:
        """Yield every build that may be taken, with the position of its channel."""
        places = self._rules.places
        for name in self._found:
            for record in self._records(name):
                yield places.get(channel_of(record.url), len(places)), record

    def _records(self, name: str) -> tuple[rattler.RepoDataRecord, ...]:
        if name not in self._left:
            ranked = [
                (0 if self._rules.priority == "disabled" else -place, _order(record), record)
                for place, record in self._in_channel(name)
                if self._rules.old_enough(record) and self._has_place(record)
            ]
            ranked.sort(key=lambda each: each[:2], reverse=True)
            self._left[name] = tuple(record for *_, record in ranked)
        return self._left[name]

    def _in_channel(self, name: str) -> list[tuple[int, rattler.RepoDataRecord]]:
        """Return the builds of a package that are asked for, of those channels that count."""
        asked = self._asked.get(name, ())
        found = self._asked_for(name)
        only = self._place(asked, found)
        subdirs = {each.subdir for each in asked if each.subdir}
        return [
            (place, record)
            for place, record in found
            if only in (None, place) and subdirs <= {record.subdir}
        ]

    def _asked_for(self, name: str) -> list[tuple[int, rattler.RepoDataRecord]]:
        """Return the builds of a package that suit what is asked for, where anything is."""
        asked = self._asked.get(name, ())
        bare = [self._spec(str(replace(each, channel="", subdir=""))) for each in asked]
        return [
            (place, record)
            for place, record in self._found.get(name, ())
            if not asked or any(each and each.matches(record) for each in bare)
        ]

    def _place(
        self, asked: Iterable[CondaSpec], found: Sequence[tuple[int, rattler.RepoDataRecord]]
    ) -> int | None:
        """Return the one channel that counts for a package; None where all do."""
        rules = self._rules
        named = [rules.named.get(each.channel, ()) for each in asked if each.channel]
        if not named:
            first = min((place for place, _ in found), default=None)
            return first if rules.priority == "strict" else None
        # One name may stand for several channels; a solve goes by one of them.
        places = [rules.places[each] for each in named[0] if each in rules.places]
        having = [(place, record) for place, record in found if place in places]
        if having and rules.priority == "disabled":
            newest = max(record.version for _, record in having)
            having = [(place, record) for place, record in having if record.version == newest]
        return min((place for place, _ in having), default=-1)

    def matching(self, requirement: str) -> frozenset[int]:
        """Return the positions in `builds` of what satisfies a requirement as repodata write it.

        The channel that it may name does not count: builds of other channels are not there.
        """
        spec = self._spec(requirement.rpartition("::")[2])
        if spec is None or spec.name is None:
            return frozenset()
        records = self._records(named_in(requirement))
        return frozenset(number for number, each in enumerate(records) if spec.matches(each))

    def left_out(self, requirement: str) -> tuple[LeftOut, ...]:
        """Return what satisfies a requirement and may not be taken, newest first; see Offered."""
        spec = self._spec(requirement.rpartition("::")[2])
        if spec is None:
            return ()
        name = named_in(requirement)
        usable = self._records(name)
        near = [record.url for _, record in self._in_channel(name)]
        taken = {each.url for each in usable}
        asked = self._asked_for(name)
        found = [record for _, record in asked if spec.matches(record) and record.url not in taken]
        found.sort(key=_order, reverse=True)
        return tuple(self._why(each, is_near=each.url in near) for each in found)

    def _why(self, record: rattler.RepoDataRecord, *, is_near: bool) -> LeftOut:
        package = to_package(record, (), set())
        unmet = [each for each in record.depends if not self._met(each, needed=True)]
        unmet += [each for each in record.constrains if not self._met(each, needed=False)]
        if unmet:
            virtual = self._rules.virtual.get(named_in(unmet[0]))
            return LeftOut(
                package, "virtual", unmet[0].strip(), str(virtual.version) if virtual else ""
            )
        if not is_near:
            return LeftOut(package, "channel", channel_of(record.url))
        return LeftOut(package, "young")

    def versions(self, name: str) -> tuple[str, ...]:
        """Return all versions of a package on the channels, newest first."""
        records = sorted((record for _, record in self._found.get(name, ())), key=_order)
        return tuple(dict.fromkeys(str(each.version) for each in reversed(records)))

    def _spec(self, requirement: str) -> rattler.MatchSpec | None:
        if requirement not in self._specs:
            try:
                self._specs[requirement] = rattler.MatchSpec(requirement)
            except InvalidMatchSpecError:
                self._specs[requirement] = None
        return self._specs[requirement]

    def _has_place(self, record: rattler.RepoDataRecord) -> bool:
        return all(self._met(each, needed=True) for each in record.depends) and all(
            self._met(each, needed=False) for each in record.constrains
        )

    def _met(self, requirement: str, *, needed: bool) -> bool:
        """Tell whether a requirement on a virtual package holds; any other does here."""
        if not requirement.lstrip().startswith("__"):
            return True
        if requirement not in self._fits:
            virtual = self._rules.virtual.get(named_in(requirement))
            spec = self._spec(requirement)
            met = not needed if virtual is None else spec is not None and spec.matches(virtual)
            self._fits[requirement] = met
        return self._fits[requirement]


def fitting(specs: Iterable[CondaSpec]) -> Callable[[rattler.RepoDataRecord], bool]:
    """Return what tells whether a record has what is asked of its name, but for the channel."""
    wanted: dict[str, list[rattler.MatchSpec]] = {}
    for each in specs:
        bare = rattler.MatchSpec(str(replace(each, channel="", subdir="")))
        wanted.setdefault(each.name, []).append(bare)
    return lambda record: all(
        each.matches(record) for each in wanted.get(record.name.normalized, ())
    )


def _order(record: rattler.RepoDataRecord) -> tuple[Any, ...]:
    """Return what solvers prefer a build by: no tracked features, version, build, date."""
    dated = as_utc(record.timestamp)
    return (
        not record.track_features,
        record.version,
        record.build_number,
        dated.timestamp() if dated else 0.0,
        str(record.build),
    )


async def offered(
    gateway: rattler.Gateway,
    channels: Sequence[rattler.Channel],
    platforms: Sequence[rattler.Subdir],
    request: SolveRequest,
    named: Mapping[str, Sequence[str]],
) -> OfferedBuilds:
    """Return all that could have a place in a solution; `request` names channels by URL.

    Args:
        gateway: reads the repodata.
        channels: the channels of the request.
        platforms: their subdirs.
        request: what is asked for.
        named: the URLs that stand for the channels that requirements name, by what they say.

    Raises:
        rattler.exceptions.GatewayError: a channel does not answer, or not with repodata.
    """
    names = sorted({each.name for each in request.specs})
    answer = await gateway.query(list(channels), list(platforms), names, recursive=True)
    places = {each.base_url.rstrip("/"): number for number, each in enumerate(channels)}
    found: dict[str, list[tuple[int, rattler.RepoDataRecord]]] = {}
    for record in (each for some in answer for each in some):
        place = places.get(channel_of(record.url), len(places))
        found.setdefault(record.name.normalized, []).append((place, record))
    rules = ChannelRules(
        priority=request.priority,
        places=places,
        cut_off=as_utc(request.exclude_newer),
        free=frozenset(request.not_held),
        named=named,
        virtual=_virtual_packages(request),
    )
    return OfferedBuilds(found, rules, request.specs)


def _virtual_packages(request: SolveRequest) -> dict[str, rattler.PackageRecord]:
    return {
        each.name.normalized: bare_record(
            each.name.normalized, str(each.version), str(each.build_string)
        )
        for each in virtual_packages(request)
    }


def bare_record(name: str, version: str, build: str = "0") -> rattler.PackageRecord:
    """Return a record of nothing but what a requirement is about."""
    return rattler.PackageRecord(
        name=name, version=version, build=BuildString(build), build_number=0, subdir="noarch"
    )
