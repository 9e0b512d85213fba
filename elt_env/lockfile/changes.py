"""The changes between two locks of a target, from the locks alone."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import zip_longest
from typing import Literal, Protocol

from packaging.version import InvalidVersion, Version

from elt_env.lockfile.document import Lock, Manager, Package

Kind = Literal["added", "removed", "upgraded", "downgraded", "rebuilt", "moved"]
Level = Literal["major", "minor", "patch", "pre", "other"]

SIGNS: dict[Kind, str] = {
    "added": "+",
    "removed": "-",
    "upgraded": "^",
    "downgraded": "!",
    "rebuilt": "~",
    "moved": ">",
}
"""What a change is marked with in a list."""


@dataclass(frozen=True)
class Change:
    """One package that differs.

    Attributes:
        kind: `rebuilt` is the same version with other bytes; `moved` changed its manager.
        old: the package before; None when it was added.
        new: the package after; None when it was removed.
    """

    kind: Kind
    name: str
    old: Package | None
    new: Package | None

    def __str__(self) -> str:
        return f"{SIGNS[self.kind]} {self.name} {self.versions} ({self.manager}, {self.kind})"

    @property
    def package(self) -> Package:
        """The package as it is now; as it was, when it was removed."""
        package = self.new or self.old
        if package is None:
            raise ValueError("a change has an old or a new package")
        return package

    @property
    def manager(self) -> Manager:
        """Who installs it now; who did, when it was removed."""
        return self.package.manager

    @property
    def versions(self) -> str:
        """Old and new version, as `from_to` writes them."""
        return from_to(self.kind, self.old, self.new)

    @property
    def direct(self) -> bool:
        """Whether a person asked for it by name; else others need it (`required_by`)."""
        return self.package.requested

    @property
    def required_by(self) -> tuple[str, ...]:
        """The locked packages that need it; those that did, when it was removed."""
        return self.package.required_by

    @property
    def level(self) -> Level | None:
        """How far apart the versions are; None where there are not two different ones."""
        return None if not self.old or not self.new else level(self.old.version, self.new.version)

    @property
    def sinks(self) -> bool:
        """Whether the new version is older than the old one."""
        return bool(self.old and self.new and is_older(self.new.version, self.old.version))

    @property
    def size_change(self) -> int | None:
        """How many bytes the archive is larger than before; None where a size is not known."""
        sizes = [each.size if each else 0 for each in (self.old, self.new)]
        old, new = sizes
        return None if old is None or new is None else new - old

    def age(self, at: datetime) -> timedelta | None:
        """Return how long the new package had been out at a moment; None where nobody tells."""
        released = self.new.released_at if self.new else None
        return None if released is None else at - released


class Versioned(Protocol):
    """What has a version, and was installed by somebody."""

    @property
    def manager(self) -> Manager:
        """Who installs it."""

    @property
    def version(self) -> str:
        """Its version."""

    @property
    def build(self) -> str | None:
        """Conda's build string; None for pip."""


def from_to(kind: Kind, old: Versioned | None, new: Versioned | None) -> str:
    """Return old and new, as in `1.0 → 1.1`, `1.0 h1_0 → h2_0` or `1.0 from pip → 1.0 from conda`.

    What was added or removed has one version; so has what was rebuilt by pip, from the same name.
    """
    sides = [each for each in (old, new) if each is not None]
    versions = [each.version for each in sides]
    if kind == "moved":
        return " → ".join(f"{each.version} from {each.manager}" for each in sides)
    if kind == "rebuilt" and len(set(versions)) == 1:
        builds = " → ".join(each.build or "" for each in sides if each.build)
        return f"{versions[0]} {builds}".rstrip()
    return " → ".join(versions)


def compare(old: Lock | None, new: Lock) -> tuple[Change, ...]:
    """Return what changed from `old` to `new`, sorted by name; everything is added to no lock."""
    return compare_packages(old.packages if old else (), new.packages)


def compare_packages(old: tuple[Package, ...], new: tuple[Package, ...]) -> tuple[Change, ...]:
    """Return what changed from some packages to others, sorted by name."""
    # A name may stand on both sides: conda's library and pip's binding. Keep them apart then.
    twins = {name for each in (old, new) for name in _names(each, "conda") & _names(each, "pip")}
    before, after = _by_key(old, twins), _by_key(new, twins)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        kind = _kind(before.get(key), after.get(key))
        if kind is not None:
            changes.append(Change(kind, key[0], before.get(key), after.get(key)))
    return tuple(changes)


def _names(packages: tuple[Package, ...], manager: Manager) -> set[str]:
    return {package.name for package in packages if package.manager == manager}


def _by_key(packages: tuple[Package, ...], twins: set[str]) -> dict[tuple[str, str], Package]:
    return {(each.name, each.manager if each.name in twins else ""): each for each in packages}


def _kind(old: Package | None, new: Package | None) -> Kind | None:
    if old is None or new is None:
        return "added" if old is None else "removed"
    if old.manager != new.manager:
        return "moved"
    if is_older(old.version, new.version):
        return "upgraded"
    if is_older(new.version, old.version):
        return "downgraded"
    return None if (old.version, old.sha256) == (new.version, new.sha256) else "rebuilt"


def is_older(one: str, other: str) -> bool:
    """Tell whether version `one` comes before `other`.

    By PEP 440 where both follow it, else by their numbers and words, segment by segment.
    """
    try:
        return Version(one) < Version(other)
    except InvalidVersion:
        return _words(one) < _words(other)


def _words(version: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def level(one: str, other: str) -> Level | None:
    """Return which part of the version differs first; None when the two are equal.

    `major`, `minor` and `patch` are the first, second and any later number of the release segment
    (PEP 440; an epoch stands before it and counts as `major`), `pre` is its pre-release alone, as
    in `2.0rc1` to `2.0`, and `other` a post-release, a local version or a letter, as in `2025b`.
    """
    first, second = _release(one), _release(other)
    pairs = zip_longest(first, second, fillvalue=0)
    differing = next((place for place, (a, b) in enumerate(pairs) if a != b), None)
    if differing is not None:
        levels: tuple[Level, ...] = ("major", "major", "minor")
        return levels[differing] if differing < len(levels) else "patch"
    if _stage(one) != _stage(other):
        return "pre"
    return "other" if is_older(one, other) or is_older(other, one) else None


def _release(version: str) -> tuple[int, ...]:
    """Return the epoch and the numbers of the release segment.

    Conda's versions follow PEP 440 only where they are in its normal form: `2025b` is not 2025's
    beta (https://docs.conda.io/projects/conda-build/en/stable/resources/package-spec.html).
    """
    parsed = _parsed(version)
    if parsed is not None:
        return (parsed.epoch, *parsed.release)
    epoch, _, rest = version.rpartition("!")
    numbers = [re.match(r"\D?(\d+)", part) for part in re.split(r"[._-]", rest.split("+")[0])]
    return (int(epoch or 0), *(int(each[1]) for each in numbers if each))


def _stage(version: str) -> tuple[object, ...]:
    parsed = _parsed(version)
    return (parsed.pre, parsed.dev) if parsed else (None, None)


def _parsed(version: str) -> Version | None:
    try:
        parsed = Version(version)
    except InvalidVersion:
        return None
    return parsed if str(parsed) == version else None


def count(changes: Iterable[Change]) -> str:
    """Return the changes in numbers, as in `2 upgraded, 1 downgraded`, or `no changes`."""
    return count_kinds(change.kind for change in changes)


def count_kinds(kinds: Iterable[Kind]) -> str:
    """Return how many there are of each kind, or `no changes`."""
    listed = list(kinds)
    found = [f"{listed.count(kind)} {kind}" for kind in SIGNS if kind in listed]
    return ", ".join(found) or "no changes"
