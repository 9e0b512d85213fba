"""Choices: the answers of a joint resolve, in the terms of both halves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from elt_env.lock.joint_shelf import JointShelf, is_choice, is_own
from elt_env.pip.port import Resolved


@dataclass(frozen=True)
class Choice:
    """What one joint resolve chose.

    Attributes:
        resolved: the distributions of pip's half and those of conda's that they touch, with their
            own versions.
        builds: the builds of conda's half by name, as numbers on the shelf.
        stubs: which of the distributions are conda's: by name, the package and its build's number.
        sdists: the distributions for which the resolve took sdists.
    """

    resolved: tuple[Resolved, ...]
    builds: Mapping[str, int] = field(default_factory=dict)
    stubs: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    sdists: tuple[str, ...] = ()

    def version(self, name: str) -> str | None:
        """Return the version of a distribution, or None where it was not chosen."""
        return next((each.version for each in self.resolved if each.name == name), None)


def choice_of(resolved: tuple[Resolved, ...], shelf: JointShelf, sdists: tuple[str, ...]) -> Choice:
    """Return the answer in the terms of both halves, without what only the choices brought."""
    builds = {}
    stubs = {}
    kept = _needed(resolved)
    found = []
    for each in resolved:
        build = shelf.build_of(each.name, each.version)
        stub = shelf.stub(each.name, each.version) if each.on_shelf else None
        if build:
            builds[build[0]] = build[1]
        if stub:
            stubs[each.name] = (stub.package, stub.number)
        if not is_own(each.name) and each.name in kept:
            found.append(
                replace(
                    each,
                    version=stub.version if stub else each.version,
                    required_by=tuple(one for one in each.required_by if not is_own(one)),
                )
            )
    return Choice(tuple(found), builds, stubs, sdists)


def _needed(resolved: tuple[Resolved, ...]) -> set[str]:
    """Return the names that requirements lead to, choices aside."""
    asked = (each.name for each in resolved if each.requested and not is_choice(each.name))
    return closure(resolved, asked)


def closure(resolved: Iterable[Resolved], names: Iterable[str]) -> set[str]:
    """Return some names with those of all that they need."""
    needs: dict[str, list[str]] = {}
    for each in resolved:
        for other in each.required_by:
            needs.setdefault(other, []).append(each.name)
    ahead = [*names]
    found: set[str] = set()
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            ahead += needs.get(name, [])
    return found
