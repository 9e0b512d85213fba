"""Conda's half as distributions, so that one resolve chooses the versions of both halves.

Each build that a channel offers becomes a version of a distribution that only the resolver sees:

- `elt-conda-NAME` is the conda package, its versions the builds, the best with the highest number.
  It needs what the build needs, and the distributions that the build carries.
- `elt-room-NAME` says which build there would be, 0 none: what a build has in `constrains` it asks
  of this one, which does not bring the package.
- `elt-need-NAME` says who in conda's half needs the package: pip's half brings none there.
- `elt-any-N` is a choice between sets of requirements, a version for each.
- A distribution that a build carries stands beside the versions of the indexes as
  `1.16+conda.NAME.BUILD`, which satisfies what `1.16` satisfies (PEP 440, local versions). It
  needs what the package's own METADATA says, and its build.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from email.parser import HeaderParser

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version

from elt_env.conda import Carried
from elt_env.lock.conda_half import CondaHalf, constrains, depends
from elt_env.lockfile.document import Package
from elt_env.package.names import named_in, normalize

_CONDA, _ROOM, _NEED, _ANY = "elt-conda-", "elt-room-", "elt-need-", "elt-any-"
_OWN = re.compile(r"elt-(?:conda|room|need|any)-(?P<rest>.*)")
_IMPOSSIBLE = "<0"

Alternative = Sequence[str]
"""Requirements (PEP 508) that hold together."""


def is_own(name: str) -> bool:
    """Tell whether a distribution is one that only the resolver sees."""
    return _OWN.fullmatch(name) is not None


def is_choice(name: str) -> bool:
    """Tell whether a distribution stands for a choice between sets of requirements."""
    return name.startswith(_ANY)


def _slug(name: str) -> str:
    """Return a conda name in letters and digits; two names never share one."""
    return re.sub(r"[^a-wyz0-9]", lambda each: f"x{ord(each[0]):02x}", name)


@dataclass(frozen=True)
class Stub:
    """A distribution that a build carries, as the resolver sees it.

    Attributes:
        version: the distribution's own.
        label: the version that the resolver sees.
        package, number: the build's package, and its number there.
    """

    name: str
    version: str
    label: str
    package: str
    number: int
    metadata: str


@dataclass
class JointShelf:
    """Conda's half, and choices between requirements, as a resolver's shelf.

    Args:
        half: None where conda's half is no part of the resolve.
        carried: returns what a build carries, as far as it is known.
    """

    half: CondaHalf | None = None
    carried: Callable[[Package], Sequence[Carried]] = lambda _: ()
    _choices: list[tuple[Alternative, ...]] = field(default_factory=list)
    _rooms: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Find the distributions that stand beside those of the indexes."""
        self._names: dict[str, str] = {}
        self._stubs: dict[tuple[str, str], Stub] = {}
        self._of_build: dict[tuple[str, int], list[Stub]] = {}
        if self.half is not None:
            self._rooms |= self.half.offered.constrained
            for name in self.half.reachable:
                self._names[_slug(name)] = name
            for name in self.half.python_packages():
                for position in self.half.usable(name):
                    self._add_stubs(self.half, name, position)

    def _add_stubs(self, half: CondaHalf, name: str, position: int) -> None:
        number = half.number(name, position)
        for each in self.carried(half.offered.builds(name)[position]):
            try:
                version = Version(each.version)
            except InvalidVersion:
                continue
            joint = "." if version.local else "+"
            label = str(Version(f"{version}{joint}conda.{_slug(name)}.{number}"))
            stub = Stub(each.name, each.version, label, name, number, each.metadata)
            self._stubs[each.name, label] = stub
            self._of_build.setdefault((name, number), []).append(stub)

    @property
    def roots(self) -> tuple[str, ...]:
        """What is asked of conda, as requirements for the resolver."""
        return tuple(map(self.requirement, self.half.specs)) if self.half else ()

    @property
    def beside(self) -> tuple[tuple[str, str], ...]:
        """The (name, version) pairs that stand beside the versions on the indexes."""
        return tuple(sorted(self._stubs))

    @property
    def stub_names(self) -> frozenset[str]:
        """The names of the distributions that some build carries."""
        return frozenset(name for name, _ in self._stubs)

    def stub(self, name: str, label: str) -> Stub | None:
        """Return what stands on the shelf for a distribution's version, if anything does."""
        return self._stubs.get((name, label))

    @property
    def all_stubs(self) -> tuple[Stub, ...]:
        """All that stand beside the versions on the indexes."""
        return tuple(self._stubs.values())

    def stubs(self, name: str) -> tuple[Stub, ...]:
        """Return all that stand on the shelf for a distribution."""
        return tuple(each for each in self._stubs.values() if each.name == name)

    def stubs_of(self, package: str, number: int) -> tuple[Stub, ...]:
        """Return what stands on the shelf for a build."""
        return tuple(self._of_build.get((package, number), ()))

    def build_of(self, own: str, version: str) -> tuple[str, int] | None:
        """Return the package and number that a chosen `elt-conda-NAME` stands for."""
        name = self._names.get(own.removeprefix(_CONDA)) if own.startswith(_CONDA) else None
        return (name, int(version)) if name else None

    def package_of(self, own: str) -> str | None:
        """Return the conda package that a distribution which only the resolver sees is about."""
        found = _OWN.fullmatch(own)
        return self._names.get(found["rest"]) if found else None

    def preferences(self, package: Package) -> list[tuple[str, str]]:
        """Return the (name, version) pairs by which a resolver keeps to a conda package."""
        builds = self.half.offered.builds(package.name) if self.half else ()
        for position, each in enumerate(builds):
            if self.half and each.sha256 == package.sha256:
                number = self.half.number(package.name, position)
                stubs = self._of_build.get((package.name, number), [])
                own = f"{_CONDA}{_slug(package.name)}"
                return [(own, str(number)), *((each.name, each.label) for each in stubs)]
        return []

    def any_of(self, alternatives: Iterable[Alternative]) -> str:
        """Return the requirement that one of several sets of requirements holds."""
        self._choices.append(tuple(alternatives))
        return f"{_ANY}{len(self._choices) - 1}"

    def requirement(self, text: str) -> str:
        """Return a requirement of repodata as one for the resolver."""
        name = named_in(text)
        if self.half is None:
            return f"{_CONDA}{_slug(name)}"
        return self._among(_CONDA, name, self.half.allowed(text))

    def exactly(self, name: str, number: int) -> str:
        """Return the requirement that a build is chosen."""
        return f"{_CONDA}{_slug(name)}=={number}"

    def at_least(self, name: str, number: int) -> str:
        """Return the requirement that a build, or a better one, is chosen."""
        return f"{_CONDA}{_slug(name)}>={number}"

    def owning(self, name: str, versions: Collection[Version] | None = None) -> list[Alternative]:
        """Return the alternatives in which conda brings a distribution, of some versions or any."""
        numbers: dict[str, set[int]] = {}
        for stub in self.stubs(name):
            if versions is None or Version(Version(stub.version).public) in versions:
                numbers.setdefault(stub.package, set()).add(stub.number)
        return [[self._one_of(package, some)] for package, some in sorted(numbers.items())]

    def _one_of(self, name: str, numbers: set[int]) -> str:
        if self.half is None:
            raise ValueError(name)
        every = [self.half.number(name, each) for each in self.half.usable(name)]
        return f"{_CONDA}{_slug(name)}{_bounds(numbers, every)}"

    def other_than(self, name: str, numbers: Iterable[int]) -> str:
        """Return the requirement that none of these builds is chosen; maybe none at all."""
        self._rooms.add(name)
        return f"{_ROOM}{_slug(name)}{','.join(f'!={each}' for each in sorted(numbers))}"

    def _among(self, kind: str, name: str, positions: Sequence[int]) -> str:
        """Return the requirement of one of some builds; in `elt-room-`, or of none."""
        if self.half is None:
            raise ValueError(name)
        wanted = {self.half.number(name, each) for each in positions}
        every = [self.half.number(name, each) for each in self.half.usable(name)]
        if kind == _ROOM:
            wanted.add(0)
            every.append(0)
        return f"{kind}{_slug(name)}{_bounds(wanted, every)}"

    def versions(self, name: str) -> tuple[str, ...] | None:
        """Return the versions of what only the resolver sees; None for any other name."""
        if not is_own(name):
            return None
        kind = next(each for each in (_CONDA, _ROOM, _NEED, _ANY) if name.startswith(each))
        rest = name.removeprefix(kind)
        if kind == _ANY:
            return tuple(str(each + 1) for each in range(len(self._choices[int(rest)])))
        package = self._names.get(rest)
        if package is None or self.half is None:
            return ("0",) if kind == _ROOM else ()
        if kind == _NEED:
            return tuple(str(each + 1) for each in range(len(self._supporters(package))))
        numbers = [self.half.number(package, each) for each in self.half.usable(package)]
        return tuple(map(str, [0, *numbers] if kind == _ROOM else numbers))

    def _supporters(self, package: str) -> list[tuple[str, tuple[int, ...]]]:
        needy = self.half.needy.get(package, {}) if self.half else {}
        return sorted((each, positions) for each, positions in needy.items() if each != package)

    def metadata(self, name: str, version: str) -> str:
        """Return the core metadata of a version; KeyError where there is none."""
        if not is_own(name):
            return self._stub_metadata(self._stubs[name, str(Version(version))])
        return _core_metadata(name, version, self._needs(name, version))

    def _needs(self, name: str, version: str) -> list[str]:
        if name.startswith(_ANY):
            alternatives = self._choices[int(name.removeprefix(_ANY))]
            return list(alternatives[len(alternatives) - int(version)])
        half = self.half
        if half is None or name.startswith(_ROOM):
            return []
        if name.startswith(_NEED):
            supporters = self._supporters(self._names[name.removeprefix(_NEED)])
            other, positions = supporters[int(version) - 1]
            return [self._among(_CONDA, other, positions), *self._need(other)]
        return self._build_needs(half, self._names[name.removeprefix(_CONDA)], int(version))

    def _build_needs(self, half: CondaHalf, name: str, number: int) -> list[str]:
        build = half.build(name, number)
        needs = [self.requirement(each) for each in depends(build)]
        if name in self._rooms:
            needs.append(f"{_ROOM}{_slug(name)}=={number}")
        for each in constrains(build):
            other = named_in(each)
            if other in half.reachable:
                needs.append(self._among(_ROOM, other, half.allowed(each)))
        stubs = self._of_build.get((name, number), [])
        return needs + [f"{each.name}=={each.label}" for each in stubs]

    def _need(self, package: str) -> list[str]:
        certain = self.half is not None and package in self.half.certain
        return [] if certain else [f"{_NEED}{_slug(package)}"]

    def _stub_metadata(self, stub: Stub) -> str:
        fields = HeaderParser().parsestr(stub.metadata)
        extras = [str(each) for each in fields.get_all("Provides-Extra", [])]
        own = [self.exactly(stub.package, stub.number), *self._need(stub.package)]
        needs = map(str, needs_in(stub.metadata))
        return _core_metadata(stub.name, stub.label, [*own, *needs], extras)


def needs_in(metadata: str) -> tuple[Requirement, ...]:
    """Return what core metadata ask for and can be read; URLs, which conda does not go by, not."""
    return readable_needs(HeaderParser().parsestr(metadata).get_all("Requires-Dist", []))


def readable_needs(lines: Iterable[object]) -> tuple[Requirement, ...]:
    """Return the same of the values of Requires-Dist."""
    found = []
    for line in lines:
        try:
            each = Requirement(str(line))
        except InvalidRequirement:
            continue
        each.url = None
        each.name = normalize(each.name)
        found.append(each)
    return tuple(found)


def _core_metadata(
    name: str, version: str, needs: Iterable[str], extras: Iterable[str] = ()
) -> str:
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {each}" for each in needs]
    lines += [f"Provides-Extra: {each}" for each in extras]
    return "\n".join(lines) + "\n"


def _bounds(wanted: set[int], every: Iterable[int]) -> str:
    """Return the specifier that leaves `wanted` of all numbers."""
    left = set(every)
    wanted &= left
    if not wanted:
        return _IMPOSSIBLE
    if wanted == left:
        return ""
    low, high = min(wanted), max(wanted)
    gaps = sorted(each for each in left - wanted if low < each < high)
    ends = [f"=={low}"] if low == high else [f">={low}", f"<={high}"]
    return ",".join([*ends, *(f"!={each}" for each in gaps)])
