"""Held: what the cool-down keeps out of a lock, and until when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from elt_env.conda import ChannelRelease, Solver
from elt_env.index.project_page import ProjectPage
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.releases import Rules, news
from elt_env.lock.request import rules_for
from elt_env.lock.satisfaction import Matches
from elt_env.lockfile.changes import is_older
from elt_env.lockfile.document import Lock, Manager, Package
from elt_env.package.cooldown import is_too_young
from elt_env.package.names import normalize
from elt_env.spec.conda_bounds import to_pep440
from elt_env.spec.conda_spec import CondaSpec, parse_conda_spec
from elt_env.spec.document import Spec

if TYPE_CHECKING:
    from elt_env.index.package_index import PackageIndex

_PYTHONS = ("python", "python_abi")
_A_WHILE = 600.0  # seconds for which what an index said in this run is taken for today's


@dataclass(frozen=True)
class Held:
    """A release that is held back by the cool-down and by nothing else that is known.

    Attributes:
        locked: the version in the lock.
        version: the newest that is held back.
        released_at: when it was uploaded (pip) or built (conda), UTC.
        eligible_at: when the cool-down lets it through, UTC.
    """

    name: str
    manager: Manager
    locked: str
    version: str
    released_at: datetime
    eligible_at: datetime


def held_by_cooldown(
    lock: Lock, tools: LockTools, pages: Mapping[str, ProjectPage] | None = None
) -> tuple[Held, ...]:
    """Return what the policy's cool-down holds back of conda's and of pip's packages, by name.

    A file without a date has no day on which it becomes eligible and is not among them. What the
    host channel is made of is looked for on the one index of the lock.

    Args:
        lock: whose packages are looked for.
        tools: those of the lock's environment.
        pages: the pages of the lock's pip packages by name, where they were read already.

    Raises:
        IndexUnreachableError: an index does not answer.
        ChannelUnreachableError, NetworkError: a channel does not answer, or not with repodata.
        SpecError: the spec cannot be used.
    """
    if not tools.project.policy.cooldown:
        return ()
    spec = tools.project.spec(lock.target.environment)
    rules = rules_for(lock, spec, tools.project.policy, tools.store.now)
    if pages is None:
        pages = tools.package_index.look(asked_of(lock)).pages
    if lock.channel_source == "host":
        conda = _host(lock, spec, rules, tools.package_index)
    else:
        conda = _conda(lock, spec, rules, tools.conda)
    found = [*_pip(lock.pip, rules, pages), *conda]
    return tuple(sorted(found, key=lambda each: (each.name, each.manager)))


def asked_of(lock: Lock) -> dict[str, str]:
    """Return which index to ask about each pip package of a lock: name to URL."""
    return {each.name: each.index for each in lock.pip if each.index is not None}


def _pip(
    packages: Iterable[Package], rules: Rules, pages: Mapping[str, ProjectPage]
) -> Iterator[Held]:
    for package in packages:
        page = pages.get(package.name)
        for each in news(package, page, rules) if page else ():
            if each.eligible_at is not None:
                released_at = each.eligible_at - rules.cooldown
                yield _held(package, each.version, released_at, rules.cooldown)
                break


def _host(lock: Lock, spec: Spec, rules: Rules, package_index: PackageIndex) -> Iterator[Held]:
    """Yield what is held of the wheels that the host channel's packages are made of."""
    if len(lock.indexes) != 1:
        return
    wheels = [
        each
        for each in lock.conda
        if each.conda and each.conda.distributions == ((each.name, each.version),)
    ]
    bounds = [*spec.conda, *(CondaSpec(each.name, each.version) for each in lock.negotiated)]
    requirements = tuple(f"{each.name}{to_pep440(each.version) or ''}" for each in bounds)
    asked = {each.name: lock.indexes[0] for each in wheels}
    looked = package_index.look(asked, max_age=_A_WHILE)
    yield from _pip(wheels, replace(rules, requirements=requirements), looked.pages)


def _conda(lock: Lock, spec: Spec, rules: Rules, conda: Solver) -> Iterator[Held]:
    names = tuple(each.name for each in lock.conda if normalize(each.name) not in rules.not_held)
    offered = conda.releases(lock.channels, names, lock.target.platform)
    limits = _Limits(lock, spec, conda.matches)
    for name, releases in offered.items():
        package = lock.package("conda", name)
        newer = [each for each in releases if is_older(package.version, each.version)]
        held = _newest_held([each for each in newer if limits.allow(package, each)], rules)
        if held is not None and held.released_at is not None:
            yield _held(package, held.version, held.released_at, rules.cooldown)


def _newest_held(newer: list[ChannelRelease], rules: Rules) -> ChannelRelease | None:
    """Return the first build of the newest version of which all builds are too young."""
    limit = rules.now - rules.cooldown
    let_through = {
        each.version
        for each in newer
        if not each.released_at or not is_too_young(each.released_at, limit)
    }
    held = [each for each in newer if each.version not in let_through]
    builds = [each for each in held if each.version == held[0].version]
    return min(builds, key=lambda each: each.released_at or rules.now, default=None)


class _Limits:
    """What keeps a build of a conda package out of a lock whatever its age is."""

    def __init__(self, lock: Lock, spec: Spec, matches: Matches) -> None:
        python = CondaSpec("python", f"={lock.target.python}")
        self._wanted = [python, spec.python_spec, *spec.conda]
        self._wanted += [CondaSpec(each.name, each.version) for each in lock.negotiated]
        self._pythons = {each.name: each for each in lock.conda if each.name in _PYTHONS}
        self._matches = matches

    def allow(self, package: Package, release: ChannelRelease) -> bool:
        """Tell whether a build suits the spec, what was negotiated, and the lock's Python."""
        candidate = replace(package, version=release.version, build=release.build)
        return all(
            self._matches(each, candidate) for each in self._wanted if each.name == package.name
        ) and all(self._has(each) for each in release.depends)

    def _has(self, dependency: str) -> bool:
        package = self._pythons.get(dependency.split(maxsplit=1)[0])
        if package is None:
            return True
        try:
            return self._matches(parse_conda_spec(dependency), package)
        except ValueError:  # a form that specs may not have; the solver knows
            return True


def _held(package: Package, version: str, released_at: datetime, cooldown: timedelta) -> Held:
    return Held(
        name=package.name,
        manager=package.manager,
        locked=package.version,
        version=version,
        released_at=released_at,
        eligible_at=released_at + cooldown,
    )
