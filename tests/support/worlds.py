"""Small random worlds of both halves, and all that could be locked in them, found by trying.

A world has packages on a conda channel and distributions on an index, a few versions of each, and
a spec. `World.answers` tries every set of versions, by the rules of conda and of pip, with no
solver at hand.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

PYTHON = "3.11.5"


@dataclass(frozen=True)
class Build:
    """A version of a conda package.

    Attributes:
        depends, constrains: as `name >=1,<2`, Python aside.
        carries: distributions: name to version.
        requires: what the metadata of the distributions ask for, by distribution.
    """

    version: str
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    carries: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    young: bool = False


@dataclass(frozen=True)
class Release:
    """A version of a distribution on the index."""

    version: str
    requires: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    requires_python: str | None = None
    yanked: bool = False
    young: bool = False


@dataclass(frozen=True)
class World:
    """What is offered, and what is asked for.

    Attributes:
        conda: the channel's packages by name; versions newest last.
        index: the index's distributions by name; versions newest last.
        spec_conda, spec_pip: the spec's requirements.
    """

    seed: int
    conda: Mapping[str, tuple[Build, ...]]
    index: Mapping[str, tuple[Release, ...]]
    spec_conda: tuple[str, ...]
    spec_pip: tuple[str, ...]

    @property
    def requested(self) -> tuple[str, ...]:
        """Who is asked for, by half and name, as `conda:a` and `pip:t`."""
        return (
            *(f"conda:{Requirement(each).name}" for each in self.spec_conda),
            *(f"pip:{Requirement(each).name}" for each in self.spec_pip),
        )

    def answers(
        self, conda: tuple[str, ...] | None = None, pip: tuple[str, ...] | None = None
    ) -> Iterator[Answer]:
        """Yield every set of versions that can be locked, for these requirements of the spec."""
        asked = self.spec_pip if pip is None else pip
        for builds in self._conda_solutions(self.spec_conda if conda is None else conda):
            owned = {
                name: version for each in builds.values() for name, version in each.carries.items()
            }
            if sum(len(each.carries) for each in builds.values()) > len(owned):
                continue  # two packages with one distribution
            for releases in self._pip_solutions(builds, owned, asked):
                yield Answer(builds, releases, owned)

    def _conda_solutions(self, specs: tuple[str, ...]) -> Iterator[dict[str, Build]]:
        names = sorted(self.conda)
        choices = [[None, *(b for b in self.conda[name] if not b.young)] for name in names]
        wanted = [Requirement(each) for each in specs]
        for chosen in itertools.product(*choices):
            builds = {name: each for name, each in zip(names, chosen, strict=True) if each}
            if _conda_holds(builds, wanted):
                yield builds

    def _pip_solutions(
        self, builds: Mapping[str, Build], owned: Mapping[str, str], asked: tuple[str, ...]
    ) -> Iterator[dict[str, Release]]:
        names = sorted(set(self.index) - set(owned))
        choices = [
            [None, *(r for r in self.index[name] if self._allowed(name, r, asked))]
            for name in names
        ]
        for chosen in itertools.product(*choices):
            releases = {name: each for name, each in zip(names, chosen, strict=True) if each}
            if self.pip_holds(builds, owned, releases, asked):
                yield releases

    def _allowed(self, name: str, release: Release, asked: tuple[str, ...]) -> bool:
        if release.young or not _admits(release.requires_python, PYTHON):
            return False
        if not release.yanked:
            return True
        pins = [Requirement(each) for each in asked if Requirement(each).name == name]
        return any(str(each.specifier) == f"=={release.version}" for each in pins)

    def pip_holds(
        self,
        builds: Mapping[str, Build],
        owned: Mapping[str, str],
        releases: Mapping[str, Release],
        asked: tuple[str, ...],
    ) -> bool:
        """Tell whether pip's half fits, and holds nothing that nobody needs."""
        versions = {**owned, **{name: each.version for name, each in releases.items()}}
        for build in builds.values():
            for each in map(Requirement, build.constrains):
                version = releases[each.name].version if each.name in releases else None
                if version and each.name not in builds and not each.specifier.contains(version):
                    return False
        metadata: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
            name: (requires, ())
            for build in builds.values()
            for name, requires in build.requires.items()
        }
        metadata |= {name: (each.requires, each.extra) for name, each in releases.items()}
        needed: set[tuple[str, str]] = set()
        ahead = [Requirement(each) for each in asked]
        ahead += [Requirement(one) for name in owned for one in metadata.get(name, ((), ()))[0]]
        ahead = [each for each in ahead if _applies(each)]
        while ahead:
            each = ahead.pop()
            if each.name not in versions or not each.specifier.contains(versions[each.name]):
                return False
            for part in ("", *each.extras):
                if (each.name, part) not in needed:
                    needed.add((each.name, part))
                    requires, extra = metadata.get(each.name, ((), ()))
                    more = map(Requirement, extra if part else requires)
                    ahead += [one for one in more if _applies(one)]
        return set(releases) <= {name for name, _ in needed}


@dataclass(frozen=True)
class Answer:
    """A set of versions that can be locked."""

    builds: Mapping[str, Build]
    releases: Mapping[str, Release]
    owned: Mapping[str, str]

    def version(self, requested: str) -> Version:
        """Return the version of what is asked for, as `conda:a` or `pip:t`."""
        side, _, name = requested.partition(":")
        if side == "conda":
            return Version(self.builds[name].version)
        release = self.releases.get(name)
        return Version(release.version if release else self.owned[name])

    def vector(self, requested: tuple[str, ...]) -> tuple[Version, ...]:
        """Return the versions of what is asked for."""
        return tuple(map(self.version, requested))


def _conda_holds(builds: Mapping[str, Build], wanted: list[Requirement]) -> bool:
    if not all(_has(builds, each) for each in wanted):
        return False
    for build in builds.values():
        if not all(_has(builds, each) for each in map(Requirement, build.depends)):
            return False
        for each in map(Requirement, build.constrains):
            if each.name in builds and not _has(builds, each):
                return False
    reached: set[str] = set()
    ahead = [each.name for each in wanted]
    while ahead:
        name = ahead.pop()
        if name not in reached:
            reached.add(name)
            ahead += [each.name for each in map(Requirement, builds[name].depends)]
    return reached == set(builds)


def _has(builds: Mapping[str, Build], wanted: Requirement) -> bool:
    build = builds.get(wanted.name)
    return build is not None and wanted.specifier.contains(build.version)


def _admits(bound: str | None, version: str) -> bool:
    return SpecifierSet(bound or "").contains(version)


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"python_version": "3.11"})


VERSIONS = ("1.0", "2.0", "3.0")


class WorldMaker:
    """Makes a world of a seed: the same world of the same seed."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)  # noqa: S311  # no secret

    def make(self) -> World:
        """Return the world."""
        pick = self._random
        shared = ["a", "b", "c"][: pick.randint(1, 3)]
        libraries = ["lib", "core"][: pick.randint(0, 2)]
        tools = ["t1", "t2", "t3"][: pick.randint(1, 3)]
        conda = {name: self._builds(name, shared + libraries, carries=True) for name in shared}
        conda |= {name: self._builds(name, shared + libraries, carries=False) for name in libraries}
        if pick.random() < 0.3:
            conda["duo"] = tuple(
                Build(each, carries={"duo-one": f"{each}.80", "duo-two": each})
                for each in VERSIONS[: pick.randint(1, 3)]
            )
        known = [*shared, *tools, *(["duo-one", "duo-two"] if "duo" in conda else [])]
        index = {name: self._releases(name, known) for name in tools}
        for name in known:
            if name not in index and pick.random() < 0.6:
                index[name] = self._releases(name, shared)
        spec_conda = self._some([*conda], 1, 2)
        spec_pip = self._some(tools, 1, 3)
        return World(
            self._seed,
            conda,
            index,
            tuple(self._asked(name, 0.35, conda[name]) for name in spec_conda),
            tuple(self._asked_pip(name, index[name]) for name in spec_pip),
        )

    def _some(self, names: list[str], least: int, most: int) -> list[str]:
        count = min(len(names), self._random.randint(least, most))
        return sorted(self._random.sample(names, count))

    def _asked(self, name: str, chance: float, offered: tuple[Build, ...]) -> str:
        if self._random.random() >= chance:
            return name
        version = self._random.choice(offered).version
        return f"{name}{self._random.choice(['==', '>=', '<=', '!='])}{version}"

    def _asked_pip(self, name: str, offered: tuple[Release, ...]) -> str:
        pick = self._random
        extra = "[x]" if pick.random() < 0.2 else ""
        if pick.random() >= 0.2:
            return name + extra
        return f"{name}{extra}{pick.choice(['==', '>=', '<=', '!='])}{pick.choice(offered).version}"

    def _bound(self, name: str) -> str:
        kind = self._random.random()
        if kind < 0.3:
            return name
        version = self._random.choice(VERSIONS)
        operator = self._random.choice([">=", "<", "<", "<=", "==", "!="])
        return f"{name}{operator}{version}"

    def _builds(self, name: str, others: list[str], *, carries: bool) -> tuple[Build, ...]:
        pick = self._random
        found = []
        for version in VERSIONS[: pick.randint(1, 3)]:
            rest = [each for each in others if each != name]
            depends = tuple(map(self._bound, self._some(rest, 0, min(2, len(rest)))))
            constrains = tuple(
                bound
                for each in self._some([*rest, "t1"], 0, 1)
                if pick.random() < 0.4 and "=" in (bound := self._bound(each)) + "<"
            )
            same = tuple(each for each in depends if pick.random() < 0.5 and "lib" not in each)
            requires = tuple(each for each in same if "core" not in each)
            found.append(
                Build(
                    version,
                    depends,
                    constrains,
                    {name: version} if carries else {},
                    {name: requires} if carries else {},
                    young=pick.random() < 0.08,
                )
            )
        return tuple(found)

    def _releases(self, name: str, others: list[str]) -> tuple[Release, ...]:
        pick = self._random
        found = []
        rest = [each for each in others if each != name]
        for version in VERSIONS[: pick.randint(1, 3)]:
            requires = [self._bound(each) for each in self._some(rest, 0, min(2, len(rest)))]
            if requires and pick.random() < 0.15:
                requires[0] += f"; python_version {pick.choice(['<', '>='])} '3.11'"
            extra = [self._bound(each) for each in self._some(rest, 0, 1)]
            bounds = [None] * 8 + [">=3.8,<3.11", ">=3.12", ">=3.8,!=3.11.*", ">=3.9,<3.13"]
            found.append(
                Release(
                    version,
                    tuple(requires),
                    tuple(extra),
                    pick.choice(bounds),
                    yanked=pick.random() < 0.08,
                    young=pick.random() < 0.08,
                )
            )
        return tuple(found)
