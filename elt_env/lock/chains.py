"""Dependency chains: the path to a package from what a person requested."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol


class NeededPackage(Protocol):
    """A package that knows who needs it: a locked one, or one of a resolver's answer."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def version(self) -> str:
        """Its version."""
        ...

    @property
    def requested(self) -> bool:
        """Whether a person asked for it by name."""
        ...

    @property
    def required_by(self) -> tuple[str, ...]:
        """Names of those that need it."""
        ...


def chain_to(name: str, packages: Iterable[NeededPackage]) -> tuple[str, ...]:
    """Return the shortest way from a requested package to `name`, as `name version` each.

    Of several as short, the first by name. A package that nobody requested, or that is not among
    `packages`, is its own chain; one without a version is shown by its name alone.
    """
    known: dict[str, NeededPackage] = {}
    for package in packages:
        known.setdefault(package.name, package)
    ways: list[tuple[str, ...]] = [(name,)]
    seen = {name}
    while ways:
        for way in ways:
            if way[0] in known and known[way[0]].requested:
                return tuple(_shown(each, known) for each in way)
        longer: list[tuple[str, ...]] = []
        for way in ways:
            above = known[way[0]].required_by if way[0] in known else ()
            for needy in sorted(set(above) - seen):
                seen.add(needy)
                longer.append((needy, *way))
        ways = sorted(longer)
    return (_shown(name, known),)


def _shown(name: str, known: dict[str, NeededPackage]) -> str:
    return f"{name} {known[name].version}".rstrip() if name in known else name
