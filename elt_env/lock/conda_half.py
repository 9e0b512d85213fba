"""Conda's half under one Python: the builds that may be chosen, and what they need."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from elt_env.conda import Offered
from elt_env.lockfile.document import Package
from elt_env.package.names import named_in

_PYTHONS = ("python", "python_abi")


class CondaHalf:
    """The builds that may be chosen under one Python, and what they need.

    Args:
        offered: what the channels offer.
        specs: what is asked of conda, as requirements of repodata.
        python: the Python's requirement, as in `python ==3.11.5`.
    """

    def __init__(self, offered: Offered, specs: Iterable[str], python: str) -> None:
        self.offered = offered
        self.specs = (*specs, python)
        self.requested = frozenset(map(named_in, self.specs))
        self._usable: dict[str, tuple[int, ...]] = {}
        wanted = offered.matching(python)
        for each in self.specs:
            if named_in(each) == "python":
                wanted &= offered.matching(each)
        self._usable["python"] = tuple(sorted(wanted))

    def usable(self, name: str) -> tuple[int, ...]:
        """Return the positions of the builds that this Python leaves, the best first."""
        if name not in self._usable:
            self._usable[name] = ()  # python_abi and the like do not need themselves
            builds = self.offered.builds(name)
            found = (number for number, each in enumerate(builds) if self._fits(each, name))
            self._usable[name] = tuple(found)
        return self._usable[name]

    def _fits(self, build: Package, name: str) -> bool:
        return all(
            self.allowed(each)
            for each in depends(build)
            if (other := named_in(each)) in _PYTHONS and other != name
        )

    def allowed(self, requirement: str) -> tuple[int, ...]:
        """Return the positions of the builds that satisfy a requirement, the best first."""
        matching = self.offered.matching(requirement)
        return tuple(each for each in self.usable(named_in(requirement)) if each in matching)

    def number(self, name: str, position: int) -> int:
        """Return the number of a build: the higher, the better; at least 1."""
        return len(self.offered.builds(name)) - position

    def build(self, name: str, number: int) -> Package:
        """Return the build of a number."""
        builds = self.offered.builds(name)
        return builds[len(builds) - number]

    @functools.cached_property
    def reachable(self) -> tuple[str, ...]:
        """The names of all packages that the specs can bring, sorted."""
        found: set[str] = set()
        ahead = list(self.requested)
        while ahead:
            name = ahead.pop()
            if name in found or name.startswith("__"):
                continue
            found.add(name)
            builds = self.offered.builds(name)
            for position in self.usable(name):
                ahead += map(named_in, depends(builds[position]))
        return tuple(sorted(found))

    @functools.cached_property
    def needy(self) -> Mapping[str, Mapping[str, tuple[int, ...]]]:
        """Who needs each package: by its name, the names and positions of builds that need it."""
        found: dict[str, dict[str, list[int]]] = {}
        for name in self.reachable:
            builds = self.offered.builds(name)
            for position in self.usable(name):
                for other in dict.fromkeys(map(named_in, depends(builds[position]))):
                    found.setdefault(other, {}).setdefault(name, []).append(position)
        return {
            name: {each: tuple(numbers) for each, numbers in some.items()}
            for name, some in found.items()
        }

    @functools.cached_property
    def certain(self) -> frozenset[str]:
        """The names of packages that every solution has."""
        found = set(self.requested)
        ahead = list(found)
        while ahead:
            name = ahead.pop()
            positions = self.usable(name)
            builds = self.offered.builds(name)
            needs = [set(map(named_in, depends(builds[each]))) for each in positions]
            for each in set.intersection(*needs) - found if needs else ():
                found.add(each)
                ahead.append(each)
        return frozenset(found)

    def python_packages(self) -> tuple[str, ...]:
        """Return the names of packages of which some build needs Python, sorted."""
        pythonic = self.needy.get("python", {})
        return tuple(each for each in self.reachable if each in pythonic)


def depends(build: Package) -> tuple[str, ...]:
    """Return what a build needs, virtual packages aside."""
    found = build.conda.depends if build.conda else ()
    return tuple(each for each in found if not each.lstrip().startswith("__"))


def constrains(build: Package) -> tuple[str, ...]:
    """Return the bounds of a build on what it does not need, virtual packages aside."""
    found = build.conda.constrains if build.conda else ()
    return tuple(each for each in found if not each.lstrip().startswith("__"))
