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
    before = _by_name(old)
    after = _by_name(new)
    changes = []
    for name in sorted(before | after):
        kind = _kind(before.get(name), after.get(name))
        if kind is not None:
            changes.append(Change(kind, name, before.get(name), after.get(name)))
    return tuple(changes)


def _by_name(lock: Lock | None) -> dict[str, Package]:
    # A name may stand on both sides: conda's library and pip's binding. Keep them apart then.
    if lock is None:
        return {}
    conda = {package.name: package for package in lock.conda}
    pip = {package.name: package for package in lock.pip}
    both = conda.keys() & pip.keys()
    return {
        f"{name} ({package.manager})" if name in both else name: package
        for side in (conda, pip)
        for name, package in side.items()
    }


def _kind(old: Package | None, new: Package | None) -> Kind | None:
    if old is None or new is None:
        return "added" if old is None else "removed"
    if old.manager != new.manager:
        return "moved"
    if old.version != new.version:
        return "upgraded" if is_older(old.version, new.version) else "downgraded"
    return None if old.sha256 == new.sha256 else "rebuilt"


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
