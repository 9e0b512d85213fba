"""What installed distributions declare: the Pythons they are for, and what they need."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet

from elt_env.model.markers import bound_on
from elt_env.tools.prefix import Distribution, Prefix


@dataclass(frozen=True)
class Declared:
    """The declarations of one distribution (core metadata specification).

    Attributes:
        requires_python: its Requires-Python; admits all where there is none that can be read.
        requires: its Requires-Dist entries that can be read.
    """

    name: str
    version: str
    requires_python: SpecifierSet
    requires: tuple[Requirement, ...]

    def bound_on(self, name: str, python: str) -> SpecifierSet:
        """Return the bound it puts on the distribution `name` under that full Python version."""
        return bound_on(name, self.requires, python)


def read_declared(prefix: Prefix) -> tuple[Declared, ...]:
    """Return what every distribution of a prefix declares."""
    return tuple(_declared(each) for each in prefix.distributions())


def _declared(distribution: Distribution) -> Declared:
    installed = importlib.metadata.Distribution.at(distribution.info)
    return Declared(
        distribution.name,
        distribution.version,
        python_bound(installed.metadata["Requires-Python"]),
        tuple(_readable(installed.requires or [])),
    )


def python_bound(text: str | None) -> SpecifierSet:
    """Return a Requires-Python as a set of versions; all of them where it cannot be read."""
    try:
        return SpecifierSet(text or "")
    except InvalidSpecifier:
        return SpecifierSet()


def _readable(lines: Iterable[str]) -> list[Requirement]:
    found = []
    for line in lines:
        try:
            found.append(Requirement(line))
        except InvalidRequirement:
            continue
    return found
