"""Facts that a resolver cannot read in the metadata of distributions, as they were found out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from packaging.version import Version


class Clash(NamedTuple):
    """Builds of conda's half that do not suit versions of what pip's half brings.

    Attributes:
        package, numbers: the builds.
        requirement: what suits them of the distribution.
    """

    package: str
    numbers: tuple[int, ...]
    requirement: str
    distribution: str


@dataclass
class Learned:
    """What the metadata that a resolver reads do not tell it.

    Attributes:
        banned: versions on the index that this Python may not have, by distribution.
        early: pre-releases that may not be taken, by distribution.
        refused: sets of builds that conda cannot have together, by package.
        clashes: builds that do not suit a version of pip's half.
        absent: distributions that pip's half may not bring.
    """

    banned: dict[str, tuple[str, ...]] = field(default_factory=dict)
    early: dict[str, tuple[str, ...]] = field(default_factory=dict)
    refused: list[Mapping[str, int]] = field(default_factory=list)
    clashes: list[Clash] = field(default_factory=list)
    absent: tuple[str, ...] = ()

    @property
    def excluded(self) -> dict[str, set[Version]]:
        """The versions on the index that may not be taken, by distribution."""
        found: dict[str, set[Version]] = {}
        for name, versions in (*self.banned.items(), *self.early.items()):
            found.setdefault(name, set()).update(map(Version, versions))
        return found
