"""Who needs whom among adopted packages, and what of that does not hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.requirements import Requirement

from elt_env.lockfile.document import Package
from elt_env.package.names import normalize
from elt_env.spec.markers import admits_python, applies


@dataclass(frozen=True)
class Needs:
    """What distributions need of each other under one Python.

    Attributes:
        python: its full version.
        requires: the Requires-Dist of each distribution, by normalized name.
        extras: which extras of distributions are asked for, as far as that is known.
    """

    python: str
    requires: Mapping[str, tuple[Requirement, ...]]
    extras: Mapping[str, frozenset[str]]

    def of(self, name: str) -> Iterator[Requirement]:
        """Yield what counts of what a distribution needs."""
        extras = self._all_extras().get(name, frozenset())
        for each in self.requires.get(name, ()):
            if applies(each, self.python, extras):
                yield each

    def _all_extras(self) -> Mapping[str, frozenset[str]]:
        """Return the extras that are asked for, those that others ask for with them."""
        found = {normalize(name): frozenset(each) for name, each in self.extras.items()}
        while True:
            more = dict(found)
            for name, requires in self.requires.items():
                for each in requires:
                    if each.extras and applies(each, self.python, found.get(name, ())):
                        wanted = more.get(normalize(each.name), frozenset())
                        more[normalize(each.name)] = wanted | each.extras
            if more == found:
                return found
            found = more

    def needy(self) -> dict[str, frozenset[str]]:
        """Return who needs each distribution that anything needs."""
        found: dict[str, set[str]] = {}
        for name in self.requires:
            for each in self.of(name):
                found.setdefault(normalize(each.name), set()).add(name)
        return {name: frozenset(each - {name}) for name, each in found.items()}

    def unmet(self, held: Mapping[str, str]) -> Iterator[str]:
        """Yield what does not hold among distributions, by name and version, a sentence each."""
        for name in sorted(self.requires):
            for each in self.of(name):
                version = held.get(normalize(each.name))
                if version is None:
                    yield f"{name} needs {each.name}{each.specifier}, which is not there"
                elif not each.specifier.contains(version, prereleases=True):
                    yield f"{name} needs {each.name}{each.specifier}, and {version} is there"


def wrong_pythons(packages: Iterable[Package], python: str) -> Iterator[str]:
    """Yield the packages that are for other Pythons, a sentence each."""
    for each in packages:
        if not admits_python(each.requires_python, python):
            yield f"{each.name} {each.version} is for Python {each.requires_python}, not {python}"


def with_needy(
    packages: Iterable[Package], needy: Mapping[str, frozenset[str]]
) -> tuple[Package, ...]:
    """Return packages with who among pip's needs them, beside whoever else does."""
    found = []
    for each in packages:
        owned = [name for name, _ in each.conda.distributions] if each.conda else [each.name]
        more = frozenset().union(*(needy.get(name, frozenset()) for name in owned))
        found.append(replace(each, required_by=tuple(sorted({*each.required_by, *more}))))
    return tuple(found)


def roots_of(packages: Sequence[Package]) -> tuple[str, ...]:
    """Return the names of the packages that no other needs, sorted.

    Of those that need each other in a circle that nobody else needs, it is the first.
    """
    needy = {each.name: {*each.required_by} for each in packages}
    found = []
    for name in sorted(needy):
        above = _above(name, needy)
        # Of those above, each is above all others of a circle, and nobody is above the circle.
        if all(name in _above(each, needy) for each in above) and name == min({*above, name}):
            found.append(name)
    return tuple(found)


def _above(name: str, needy: Mapping[str, set[str]]) -> set[str]:
    """Return who needs a package, and who needs those."""
    found: set[str] = set()
    todo = [name]
    while todo:
        more = (needy[todo.pop()] & needy.keys()) - found
        found |= more
        todo += more
    return found
