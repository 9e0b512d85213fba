"""What changed between two locks of a target."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from packaging.version import InvalidVersion, Version

from elt_env.model.lock import Lock, Package

Kind = Literal["added", "removed", "upgraded", "downgraded", "rebuilt", "moved"]

_SIGNS: dict[Kind, str] = {
    "added": "+",
    "removed": "-",
    "upgraded": "^",
    "downgraded": "!",
    "rebuilt": "~",
    "moved": ">",
}


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
        old, new = (_shown(each, self.kind) for each in (self.old, self.new))
        versions = " → ".join(text for text in (old, new) if text)
        manager = (self.new or self.old or _missing()).manager
        return f"{_SIGNS[self.kind]} {self.name} {versions} ({manager}, {self.kind})"


def _missing() -> Package:
    message = "a change has an old or a new package"
    raise ValueError(message)


def _shown(package: Package | None, kind: Kind) -> str:
    if package is None:
        return ""
    if kind == "moved":
        return f"{package.version} from {package.manager}"
    build = f" {package.build}" if package.build and kind == "rebuilt" else ""
    return package.version + build


def compare(old: Lock | None, new: Lock) -> tuple[Change, ...]:
    """Return what changed from `old` to `new`, sorted by name; everything is added to no lock."""
    locks = [lock for lock in (old, new) if lock is not None]
    # A name may stand on both sides: conda's library and pip's binding. Keep them apart then.
    twins = {name for lock in locks for name in _names(lock.conda) & _names(lock.pip)}
    before = _by_key(old.packages if old else (), twins)
    after = _by_key(new.packages, twins)
    changes = []
    for key in sorted(before.keys() | after.keys()):
        kind = _kind(before.get(key), after.get(key))
        if kind is not None:
            changes.append(Change(kind, key[0], before.get(key), after.get(key)))
    return tuple(changes)


def _names(packages: tuple[Package, ...]) -> set[str]:
    return {package.name for package in packages}


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
        return _segments(one) < _segments(other)


def _segments(version: str) -> list[tuple[int, int, str]]:
    parts = re.findall(r"\d+|[a-z]+", version.lower())
    return [(1, int(part), "") if part.isdigit() else (0, 0, part) for part in parts]


def count(changes: tuple[Change, ...]) -> str:
    """Return the changes in numbers, as in `2 upgraded, 1 downgraded`, or `no changes`."""
    kinds = [change.kind for change in changes]
    found = [f"{kinds.count(kind)} {kind}" for kind in _SIGNS if kind in kinds]
    return ", ".join(found) or "no changes"


def to_markdown(changes: tuple[Change, ...]) -> str:
    """Return the changes as a fenced diff: what is new in green, what went or sank in red."""
    if not changes:
        return "No changes."
    signs = {"removed": "-", "downgraded": "-"}
    lines = [signs.get(change.kind, "+") + str(change)[1:] for change in changes]
    return "\n".join([f"{count(changes)}", "", "```diff", *lines, "```"])
