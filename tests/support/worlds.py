"""Small worlds of both halves, and all that could be locked in them, found by trying.

A world has packages on conda channels and distributions on an index, a few versions of each, a spec
and a policy. `World.fits` says what the rules of conda, of pip and of the policy are;
`World.answers` tries every set of versions, with no solver at hand.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

COOLDOWN = 3
"""Days that something has to be old; the policy's default."""

_AGES = 10**6
Kind = Literal["wheel", "sdist", "both", "other", "other and sdist"]
"""Which files there are; a wheel, or one of another platform."""

VIRTUAL = {"__glibc": "2.30", "__linux": "4.0", "__unix": "0"}
"""The virtual packages that every machine has on which the tests run, at least in that version."""


@dataclass(frozen=True)
class Build:
    """A build of a conda package.

    Attributes:
        string, number: the build's.
        depends, constrains: as `name >=1,<2 build`.
        carries: distributions: name to version.
        requires: what the metadata of the distributions ask for, by distribution.
        extras: what they ask for with an extra, by distribution and extra.
        age: days since it was made.
        channel: which of the world's.
        native: whether it is of the platform; else noarch, for Python where it carries something.
    """

    version: str
    string: str = "0"
    number: int = 0
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    carries: Mapping[str, str] = field(default_factory=dict)
    requires: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    extras: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    age: int = 1000
    channel: int = 0
    native: bool = False


@dataclass(frozen=True)
class Release:
    """A version of a distribution on the index.

    Attributes:
        requires: what it asks for (PEP 508).
        extras: what it asks for with an extra.
        age: days since it was uploaded.
        files: of which kinds there are some.
    """

    version: str
    requires: tuple[str, ...] = ()
    extras: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    requires_python: str | None = None
    yanked: bool = False
    age: int = 1000
    files: Kind = "wheel"

    @property
    def is_here(self) -> bool:
        """Whether some file is for this platform."""
        return self.files != "other"

    @property
    def needs_build(self) -> bool:
        """Whether there is an sdist and no wheel for this platform."""
        return self.files in ("sdist", "other and sdist")


@dataclass(frozen=True)
class Spec:
    """What is asked for: conda's half (`0::a >=1` names a channel), pip's, and `-c`."""

    conda: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()
    constraints: tuple[str, ...] = ()


@dataclass(frozen=True)
class Policy:
    """The keys of the policy that a lock depends on."""

    priority: Literal["strict", "flexible", "disabled"] = "strict"
    prefer: tuple[str, ...] = ()
    pre_releases: tuple[str, ...] = ()
    allow_sdist: tuple[str, ...] = ()
    exceptions: tuple[str, ...] = ()
    yanked: Literal["take", "refuse"] = "take"


@dataclass(frozen=True)
class Answer:
    """A set of versions that can be locked: the Python, builds and releases by name."""

    python: str
    builds: Mapping[str, Build]
    releases: Mapping[str, Release]

    @property
    def owned(self) -> dict[str, str]:
        """The distributions that conda brings: name to version."""
        return {k: v for each in self.builds.values() for k, v in each.carries.items()}

    @property
    def versions(self) -> dict[str, str]:
        """The version of all there is, under the name of the package and of the distribution."""
        found = {name: each.version for name, each in self.builds.items()} | self.owned
        return found | {name: each.version for name, each in self.releases.items()}

    def __str__(self) -> str:
        builds = [f"{name} {each.version} {each.string}" for name, each in self.builds.items()]
        releases = [f"{name} {each.version}" for name, each in self.releases.items()]
        return f"Python {self.python}; conda: {', '.join(builds)}; pip: {', '.join(releases)}"


Rung = tuple[int, Version]
"""A version in the order of what is newer; that of a preferred channel counts as newer."""

Key = tuple[tuple[int, ...], int, int, tuple[int, ...]]


@dataclass(frozen=True)
class World:
    """What is offered, what is asked for, and by which policy.

    Attributes:
        pythons: the full versions of Python on the first channel.
        conda: the packages by name.
        index: the distributions by name.
    """

    seed: int
    pythons: tuple[str, ...]
    conda: Mapping[str, tuple[Build, ...]]
    index: Mapping[str, tuple[Release, ...]]
    spec: Spec
    policy: Policy = Policy()

    @property
    def channels(self) -> int:
        """How many channels there are."""
        return 1 + max((each.channel for some in self.conda.values() for each in some), default=0)

    def answers(self, spec: Spec | None = None) -> Iterator[Answer]:
        """Yield all that can be locked for a spec, with the newest Python that has anything."""
        spec = spec or self.spec
        for python in sorted(self.pythons, key=Version, reverse=True):
            found = False
            for builds in self.conda_solutions(spec, python):
                for each in self._with_releases(spec, python, builds):
                    found = True
                    yield each
            if found:
                return

    def conda_solutions(self, spec: Spec, python: str) -> Iterator[dict[str, Build]]:
        """Yield all that conda alone could bring."""
        wanted = [each.rpartition("::")[2] for each in spec.conda]
        yield from self._more_builds(spec, python, wanted, {})

    def _more_builds(
        self, spec: Spec, python: str, wanted: list[str], builds: dict[str, Build]
    ) -> Iterator[dict[str, Build]]:
        if not wanted:
            if self._conda_fits(builds):
                yield builds
            return
        first, *rest = wanted
        name = named(first)
        if name in builds:
            if conda_admits(first, builds[name]):
                yield from self._more_builds(spec, python, rest, builds)
            return
        for build in self.usable_builds(name, spec, python):
            if conda_admits(first, build):
                more = [each for each in build.depends if named(each) in self.conda]
                yield from self._more_builds(spec, python, rest + more, {**builds, name: build})

    @staticmethod
    def _conda_fits(builds: Mapping[str, Build]) -> bool:
        carried = [name for each in builds.values() for name in each.carries]
        return len(carried) == len(set(carried)) and all(
            named(each) not in builds or conda_admits(each, builds[named(each)])
            for build in builds.values()
            for each in build.constrains
        )

    def usable_builds(self, name: str, spec: Spec, python: str) -> tuple[Build, ...]:
        """Return the builds of a package that channels, policy, Python and machine leave."""
        asked = [each.partition("::")[0] for each in spec.conda if _names_channel(each, name)]
        every = self.conda.get(name, ())
        lines = [each.rpartition("::")[2] for each in spec.conda]
        bounds = [each for each in lines if named(each) == name]
        fitting = [each for each in every if all(conda_admits(one, each) for one in bounds)]
        only = {int(each) for each in asked}
        if not only and self.policy.priority == "strict":
            only = {min((each.channel for each in fitting), default=0)}
        return tuple(
            each
            for each in fitting
            if (not only or only == {each.channel})
            and (each.age > COOLDOWN or name in self.policy.exceptions)
            and all(self._has_place(one, python, needed=True) for one in each.depends)
            and all(self._has_place(one, python, needed=False) for one in each.constrains)
        )

    def _has_place(self, requirement: str, python: str, *, needed: bool) -> bool:
        name = named(requirement)
        if name == "python":
            return conda_admits(requirement, Build(python))
        if name.startswith("__"):
            version = VIRTUAL.get(name)
            return not needed if version is None else conda_admits(requirement, Build(version))
        return not needed or name in self.conda

    def _with_releases(
        self, spec: Spec, python: str, builds: Mapping[str, Build]
    ) -> Iterator[Answer]:
        bare = Answer(python, builds, {})
        wanted = [one for each in bare.owned for one in self._requires(bare, each, "")]
        yield from self._more_releases(spec, bare, [*spec.pip, *wanted], frozenset())

    def _more_releases(
        self, spec: Spec, answer: Answer, wanted: list[str], done: frozenset[tuple[str, str]]
    ) -> Iterator[Answer]:
        """Yield what comes of an answer when further requirements are fulfilled.

        `done` is whose requirements are among them already: distribution and extra.
        """
        if not wanted:
            if self._constrains_fit(answer, spec):
                yield answer
            return
        first, *rest = wanted
        if not applies(first, answer.python):
            yield from self._more_releases(spec, answer, rest, done)
            return
        asked = read(first)
        version = answer.owned.get(asked.name)
        if version is None and asked.name in answer.releases:
            version = answer.releases[asked.name].version
        if version is not None:
            if not (_contains(asked, version) and self._in_constraints(spec, answer, asked.name)):
                return
            new = {(asked.name, each) for each in ("", *asked.extras)} - done
            if asked.name in answer.owned:
                new.discard((asked.name, ""))  # these were there from the start
            more = [
                one for name, extra in sorted(new) for one in self._requires(answer, name, extra)
            ]
            yield from self._more_releases(spec, answer, rest + more, done | new)
            return
        for release in self.usable_releases(asked.name, spec, answer.python):
            if _contains(asked, release.version):
                one = Answer(answer.python, answer.builds, {**answer.releases, asked.name: release})
                yield from self._more_releases(spec, one, wanted, done)

    @staticmethod
    def _in_constraints(spec: Spec, answer: Answer, name: str) -> bool:
        version = answer.versions[name]
        return all(
            _contains(read(each), version)
            for each in spec.constraints
            if read(each).name == name and applies(each, answer.python)
        )

    def _requires(self, answer: Answer, name: str, extra: str) -> tuple[str, ...]:
        release = answer.releases.get(name)
        if release is not None:
            return release.extras.get(extra, ()) if extra else release.requires
        owner = next(each for each in answer.builds.values() if name in each.carries)
        if extra:
            return owner.extras.get(name, {}).get(extra, ())
        return owner.requires.get(name, ())

    def _constrains_fit(self, answer: Answer, spec: Spec) -> bool:
        """Tell whether conda's bounds on what it does not bring hold for what pip brings.

        And whether conda's distributions are within the spec's constraints.
        """
        if not all(self._in_constraints(spec, answer, each) for each in answer.owned):
            return False
        reachable = self.reachable(spec, answer.python)
        return all(
            conda_admits(each, Build(release.version))
            for build in answer.builds.values()
            for each in build.constrains
            if named(each) not in answer.builds
            for name, release in answer.releases.items()
            if name in self._stands_for(named(each), reachable)
        )

    @staticmethod
    def _stands_for(package: str, reachable: Mapping[str, tuple[Build, ...]]) -> set[str]:
        """Return the distributions that a conda package is known to be."""
        builds = reachable.get(package, ())
        return {package, *(name for each in builds for name in each.carries)}

    def reachable(self, spec: Spec, python: str) -> dict[str, tuple[Build, ...]]:
        """Return the conda packages that the spec could bring, with the builds there are."""
        ahead = [named(each.rpartition("::")[2]) for each in spec.conda]
        found: dict[str, tuple[Build, ...]] = {}
        while ahead:
            name = ahead.pop()
            if name in self.conda and name not in found:
                found[name] = self.usable_builds(name, spec, python)
                ahead += [named(one) for each in found[name] for one in each.depends]
        return found

    def usable_releases(self, name: str, spec: Spec, python: str) -> tuple[Release, ...]:
        """Return the releases that the policy and the Python leave."""
        lines = [read(each) for each in (*spec.pip, *spec.constraints) if applies(each, python)]
        asked = [each for each in lines if each.name == name]
        found = [
            each
            for each in self.index.get(name, ())
            if (each.age > COOLDOWN or name in self.policy.exceptions)
            and SpecifierSet(each.requires_python or "").contains(python, prereleases=True)
            and each.is_here
            and (not each.needs_build or name in self.policy.allow_sdist)
            and (not each.yanked or self._is_pinned(each.version, asked))
        ]
        pre = self._may_be_pre_release(name, asked, spec, found, python)
        return tuple(each for each in found if pre or not Version(each.version).is_prerelease)

    def _is_pinned(self, version: str, asked: Iterable[Requirement]) -> bool:
        """Tell whether the spec and the policy let a yanked version in (PEP 592)."""
        return self.policy.yanked == "take" and any(_pins(each, version) for each in asked)

    def _may_be_pre_release(
        self,
        name: str,
        asked: Sequence[Requirement],
        spec: Spec,
        found: Iterable[Release],
        python: str,
    ) -> bool:
        """Tell whether pre-releases count: where a line names one, or no other satisfies them.

        Of what the spec does not ask for, one may be what nothing else can stand in for.
        """
        carried = [v for n, v, _ in self._carried(spec, python) if n == name]
        known = [*carried, *(each.version for each in found)]
        final = [each for each in known if not Version(each).is_prerelease]
        return (
            name in self.policy.pre_releases
            or any(one.prereleases for each in asked for one in each.specifier)
            or not any(read(each).name == name for each in spec.pip)
            or not any(all(_contains(each, version) for each in asked) for version in final)
        )

    def requested(self, python: str) -> tuple[str, ...]:
        """Return the names of what is asked for, sorted."""
        conda = {named(each.rpartition("::")[2]) for each in self.spec.conda}
        return tuple(
            sorted(conda | {read(each).name for each in self.spec.pip if applies(each, python)})
        )

    def ladder(self, name: str, python: str) -> dict[Rung, int]:
        """Return what a requested package could be if it were alone, newest first, and its age."""
        found: dict[Rung, int] = {}
        lines = [each.rpartition("::")[2] for each in self.spec.conda]
        asked = [each for each in lines if named(each) == name]
        for build in self.usable_builds(name, self.spec, python) if asked else ():
            if all(conda_admits(each, build) for each in asked):
                rung = self._same(self.rung(build), name, python)
                found[rung] = max(build.age, found.get(rung, 0))
        if not asked:
            for version, age in self._distributions(name, python):
                rung = (0, Version(Version(version).public))
                found[rung] = max(age, found.get(rung, 0))
        return dict(sorted(found.items(), reverse=True))

    def _distributions(self, name: str, python: str) -> Iterator[tuple[str, int]]:
        """Yield the versions of a distribution that the spec's own lines on it leave."""
        lines = [read(each) for each in (*self.spec.pip, *self.spec.constraints)]
        bounds = [each for each in lines if each.name == name and applies(str(each), python)]
        offered = [
            (each.version, each.age) for each in self.usable_releases(name, self.spec, python)
        ]
        offered += [(v, age) for n, v, age in self._carried(self.spec, python) if n == name]
        for version, age in offered:
            if all(_contains(each, version) for each in bounds):
                yield version, age

    def _carried(self, spec: Spec, python: str) -> Iterator[tuple[str, str, int]]:
        """Yield the distributions that conda could bring: name, version and age."""
        for builds in self.reachable(spec, python).values():
            for build in builds:
                yield from ((name, version, build.age) for name, version in build.carries.items())

    def rung(self, build: Build) -> Rung:
        """Return where a build stands in the order of what is newer."""
        flexible = self.policy.priority == "flexible"
        return (-build.channel if flexible else 0, Version(build.version))

    def rung_in(self, name: str, answer: Answer) -> Rung:
        """Return where an answer stands with something that is asked for."""
        if any(named(each.rpartition("::")[2]) == name for each in self.spec.conda):
            return self._same(self.rung(answer.builds[name]), name, answer.python)
        release = answer.releases.get(name)
        version = release.version if release else answer.owned[name]
        return (0, Version(Version(version).public))

    def _same(self, rung: Rung, name: str, python: str) -> Rung:
        """Return the first of those of one version that follow each other, of several channels."""
        found = rung
        builds = self.usable_builds(name, self.spec, python)
        for each in sorted({self.rung(one) for one in builds}):
            if each > found and each[1] == found[1]:
                found = each
            elif each > found:
                break
        return found

    def key(self, answer: Answer) -> Key:
        """Return what answers are ordered by, the best first; see docs/explanation.md."""
        places, days, counts = {}, 0, 0
        prefer = self.policy.prefer
        for name in self.requested(answer.python):
            ladder = self.ladder(name, answer.python)
            rung = self.rung_in(name, answer)
            places[name] = sum(each > rung for each in ladder)
            if name not in prefer:
                # As old as the youngest of those that are not newer.
                age = min((ladder[each] for each in ladder if each <= rung), default=_AGES)
                days += age - min(ladder.values()) if places[name] else 0
                counts += places[name]
        first = tuple(places[each] for each in prefer if each in places)
        return first, days, counts, tuple(places[each] for each in places if each not in prefer)


def named(requirement: str) -> str:
    """Return the package's name in a requirement of conda."""
    return requirement.partition(" ")[0]


def _names_channel(requirement: str, name: str) -> bool:
    return "::" in requirement and named(requirement.rpartition("::")[2]) == name


def conda_admits(requirement: str, build: Build) -> bool:
    """Tell whether a build satisfies `name [version [build string]]`."""
    return _admits(requirement, build.version, build.string)


@functools.cache
def _admits(requirement: str, version: str, string: str) -> bool:
    _, _, rest = requirement.partition(" ")
    bound, _, pattern = rest.partition(" ")
    return fnmatchcase(string, pattern or "*") and any(
        all(_within(each, version) for each in some.split(",")) for some in bound.split("|")
    )


_ORDER = {
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    "<": operator.lt,
}


def _within(bound: str, version: str) -> bool:
    """Tell whether a version is within one bound of conda, in versions that PEP 440 orders alike.

    https://docs.conda.io/projects/conda/en/stable/user-guide/concepts/pkg-specs.html
    """
    if bound in ("", "*"):
        return True
    for sign, holds in _ORDER.items():
        if bound.startswith(sign) and not bound.endswith("*"):
            wanted = Version(bound.removeprefix(sign))
            mine = Version(version)
            if sign not in ("==", "!=") and wanted.local is None:
                mine = Version(mine.public)
            return bool(holds(mine, wanted))
    if bound.startswith("!="):
        return not _within(bound.removeprefix("!="), version)
    if bound.startswith("~="):
        return SpecifierSet(bound).contains(version, prereleases=True)
    series = bound.removesuffix("*").strip("=.") if bound[0] == "=" or bound[-1] == "*" else ""
    exactly = f"=={series}.*" if series else f"=={bound}"
    return SpecifierSet(exactly).contains(version, prereleases=True)


@functools.cache
def read(line: str) -> Requirement:
    """Return a requirement of pip's half."""
    return Requirement(line)


@functools.cache
def applies(line: str, python: str) -> bool:
    """Tell whether a requirement's marker holds; what is asked for with an extra has none of it."""
    marker = read(line).marker
    minor = ".".join(python.split(".")[:2])
    machine = {name: str(value) for name, value in default_environment().items()}
    machine |= {"python_version": minor, "python_full_version": python}
    return marker is None or marker.evaluate(machine)


@functools.cache
def _specifier_has(specifier: str, version: str) -> bool:
    return SpecifierSet(specifier).contains(version, prereleases=True)


def _contains(asked: Requirement, version: str) -> bool:
    return _specifier_has(str(asked.specifier), version)


def _pins(asked: Requirement, version: str) -> bool:
    """Tell whether a requirement is on just that version."""
    return any(
        each.operator in ("==", "===") and Version(each.version) == Version(version)
        for each in asked.specifier
        if not each.version.endswith("*")
    )
