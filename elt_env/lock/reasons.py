"""Reasons: why what was asked for is older than it could be, by the metadata of what is there."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.requirements import Requirement
from packaging.version import Version

from elt_env.lock.clashes import is_barred
from elt_env.lock.conda_half import constrains, depends
from elt_env.lock.joint import JointProblem
from elt_env.lock.joint_choice import Choice
from elt_env.lock.joint_shelf import Stub, needs_in
from elt_env.lock.lacks import is_sdist_only
from elt_env.lock.solve import as_requirement
from elt_env.package.names import named_in, normalize
from elt_env.spec.markers import applies

_NO_VERSION = "of which no index has a usable version"


class Reasons:
    """What keeps versions out of a choice.

    Either something that was chosen needs the package otherwise, or that version needs something
    otherwise than it was chosen.

    Args:
        problem: what is asked.
        choice: what was chosen.
    """

    def __init__(self, problem: JointProblem, choice: Choice) -> None:
        self._problem = problem
        self._half = problem.half
        self._shelf = problem.shown
        self._numbers = choice.builds
        self._chosen = {each.name: each for each in choice.resolved}
        self._stubs = choice.stubs

    def reason(self, name: str, possible: str) -> str:
        """Return what keeps a requested package from a version; "" where nothing is known."""
        places = self._places(name, possible)
        carried = [each for place in places for each in self._carried(name, place)]
        versions = [(each.name, each.version) for each in carried] or [(name, possible)]
        found = itertools.chain(
            self._of_spec(versions),
            self._of_builds(name, possible, places),
            self._of_distributions(versions),
            self._of_python(name, possible, places),
            self._of_itself(name, possible, places),
        )
        return next(found, "")

    def _places(self, name: str, version: str) -> tuple[int, ...]:
        """Return the positions of the builds that are meant by a version of conda's half."""
        half = self._half
        if half is None or name not in half.requested or name not in self._numbers:
            return ()
        builds = half.offered.builds(name)
        return tuple(each for each in half.usable(name) if builds[each].version == version)

    def _carried(self, package: str, place: int) -> Sequence[Stub]:
        return self._shelf.stubs_of(package, self._half.number(package, place) if self._half else 0)

    def _of_spec(self, versions: Iterable[tuple[str, str]]) -> Iterator[str]:
        spec = self._problem.question.spec
        lines = [*spec.pip, *spec.constraints]
        if self._half is None:
            lines += map(as_requirement, spec.conda)
        asked = [each for each in map(Requirement, lines) if applies(each, self._problem.python)]
        for name, version in versions:
            for each in asked:
                if normalize(each.name) == name and not _has(each, version):
                    yield f"the spec asks for {each.name}{each.specifier}"

    def _of_python(self, name: str, possible: str, places: Sequence[int]) -> Iterator[str]:
        """Yield that a version is for other Pythons; what conda has of it is for this one."""
        if places or any(_public(each.version) == possible for each in self._shelf.stubs(name)):
            return
        meant = [e for e in self._problem.judged(name) if _public(e.version) == possible]
        if not any(each.usable for each in meant):
            mine = (each.reason for each in meant if "needs Python" in each.reason)
            yield from (f"{name} {each}" for each in mine)

    def _of_builds(self, name: str, possible: str, places: Sequence[int]) -> Iterator[str]:
        """Yield what the chosen builds need."""
        half = self._half
        if half is None:
            return
        for package, number in sorted(self._numbers.items()):
            build = half.build(package, number)
            for line in (*depends(build), *constrains(build)):
                if places:
                    mine = named_in(line) == name
                    is_met = not (mine and half.offered.matching(line).isdisjoint(places))
                else:
                    elsewhere = line in constrains(build) and named_in(line) not in self._numbers
                    is_met = not (elsewhere and is_barred(self._problem, line, name, possible))
                if not is_met:
                    yield f"{package} {build.version} needs {_spaced(line)}"

    def _of_distributions(self, versions: Sequence[tuple[str, str]]) -> Iterator[str]:
        """Yield what the metadata of chosen distributions need."""
        needy = {
            each for name, _ in versions if name in self._chosen
            for each in self._chosen[name].required_by if each in self._chosen
        }  # fmt: skip
        needs = self._needs(needy)
        barring = [
            (who, line)
            for (name, version), who in itertools.product(versions, sorted(needs))
            for line in needs[who]
            if line.name == name and not _has(line, version)
        ]
        # With which extras others ask for a distribution takes longer to find out.
        for extras_of in (self._asked_extras, self._extras):
            for who, line in barring:
                if applies(line, self._problem.python, extras_of(who)):
                    version = self._chosen[who].version
                    yield f"{who} {version} needs {line.name} {line.specifier}"

    def _needs(self, names: Iterable[str]) -> Mapping[str, Sequence[Requirement]]:
        """Return what chosen distributions need with whatever extra, as far as it is known."""
        some = set(names)
        wanted = {(each, self._chosen[each].version) for each in some - self._stubs.keys()}
        found = {name: each for (name, _), each in self._problem.pages.needs(wanted).items()}
        for stub in (one for each in some & self._stubs.keys() for one in self._stub_of(each)):
            found[stub.name] = needs_in(stub.metadata)
        return found

    def _asked_extras(self, name: str) -> set[str]:
        """Return the extras with which the spec asks for a distribution."""
        asked = map(Requirement, self._problem.question.spec.pip)
        return {extra for each in asked if normalize(each.name) == name for extra in each.extras}

    def _extras(self, name: str) -> set[str]:
        """Return the extras of a chosen distribution that count, whoever asks for them."""
        needs = self._needs(self._above(name))
        extras: dict[str, set[str]] = {}
        found = {each: self._asked_extras(each) for each in needs}
        while found != extras:
            extras = found
            found = {
                each: extras[each].union(
                    *(self._asking(each, lines, extras[who]) for who, lines in needs.items())
                )
                for each in needs
            }
        return extras.get(name, set())

    def _above(self, name: str) -> set[str]:
        """Return the names of all chosen distributions that lead to one, and its own."""
        found: set[str] = set()
        ahead = [name]
        while ahead:
            each = ahead.pop()
            if each in self._chosen and each not in found:
                found.add(each)
                ahead += self._chosen[each].required_by
        return found

    def _asking(self, name: str, lines: Iterable[Requirement], extras: set[str]) -> set[str]:
        """Return the extras with which lines that count with some extras ask for a distribution."""
        python = self._problem.python
        mine = [each for each in lines if each.name == name and each.extras]
        return {one for each in mine if applies(each, python, extras) for one in each.extras}

    def _with_own(self, name: str, needs: Iterable[Requirement], extras: set[str]) -> set[str]:
        """Return extras with those that they ask of the same distribution, as in `x[all]`."""
        lines = list(needs)
        more = self._asking(name, lines, extras) - extras
        return self._with_own(name, lines, extras | more) if more else extras

    def _stub_of(self, name: str) -> list[Stub]:
        return [each for each in self._shelf.stubs_of(*self._stubs[name]) if each.name == name]

    def _counting(self, name: str, needs: Iterable[Requirement]) -> list[Requirement]:
        """Return those that count under the Python, and with the extras that the spec asks for."""
        lines = list(needs)
        extras = self._with_own(name, lines, self._asked_extras(name))
        return [each for each in lines if applies(each, self._problem.python, extras)]

    def _of_itself(self, name: str, possible: str, places: Sequence[int]) -> Iterator[str]:
        """Yield what a version needs otherwise than it was chosen, whichever of its files it is."""
        found = [list(self._of_build(name, place)) for place in places]
        if not places:
            stubs = [each for each in self._shelf.stubs(name) if _public(each.version) == possible]
            found += [list(self._of_stub(each)) for each in stubs]
            found += [list(each) for each in self._of_releases(name, possible)]
        if found and all(found):
            yield found[0][0]

    def _of_build(self, name: str, place: int) -> Iterator[str]:
        half = self._half
        if half is None:
            return
        build = half.offered.builds(name)[place]
        for line in (*depends(build), *constrains(build)):
            other = named_in(line)
            if other in self._chosen and other not in self._numbers and line in constrains(build):
                yield from self._barred(f"{name} {build.version}", line, other)
            if other == name or other not in self._numbers:
                continue
            chosen = half.build(other, self._numbers[other])
            if chosen not in [half.offered.builds(other)[n] for n in half.offered.matching(line)]:
                yield f"{name} {build.version} needs {_spaced(line)}, which is {chosen.version}"
        own = self._carried(name, place)
        for stub in own:
            yield from self._of_stub(stub, {each.name for each in own})

    def _barred(self, who: str, line: str, distribution: str) -> Iterator[str]:
        """Yield that a build's bound on what it does not bring excludes what pip's half brings."""
        version = self._chosen[distribution].version
        own = distribution in self._stubs
        if not own and is_barred(self._problem, line, distribution, version):
            yield f"{who} needs {_spaced(line)}, which is {version}"

    def _of_stub(self, stub: Stub, beside: Iterable[str] = ()) -> Iterator[str]:
        needs = self._counting(stub.name, needs_in(stub.metadata))
        others = [each for each in needs if each.name not in beside]
        yield from self._unmet(stub.name, stub.version, others)

    def _of_releases(self, name: str, possible: str) -> Iterator[Iterator[str]]:
        for version, needs in self._needs_of_releases(name, possible):
            yield self._unmet(name, version, needs)

    def _needs_of_releases(
        self, name: str, possible: str
    ) -> Iterator[tuple[str, list[Requirement]]]:
        """Yield the releases of a version on the index, each with what it needs here."""
        judged = self._with_pre_releases(name)
        wanted = [(name, each) for each in judged if _public(each) == possible]
        found = self._problem.pages.needs(wanted)
        for each in wanted:
            yield each[1], self._counting(name, found.get(each, ()))

    def _unmet(self, name: str, version: str, needs: Iterable[Requirement]) -> Iterator[str]:
        for each in needs:
            other = self._chosen.get(each.name)
            bound = f"{each.name} {each.specifier}".strip()
            if other and not _has(each, other.version):
                yield f"{name} {version} needs {bound}, which is {other.version}"
            if other is None and not self._can_be_had(each):
                lack = "which has no wheel" if self._is_wheelless(each) else _NO_VERSION
                yield f"{name} {version} needs {bound}, {lack}"

    def _can_be_had(self, requirement: Requirement) -> bool:
        """Tell whether conda offers, or the index has, a version that would do."""
        name = requirement.name
        offered = [each.version for each in self._shelf.stubs(name)]
        found = (*self._with_pre_releases(name), *offered)
        return any(_has(requirement, each) for each in found)

    def wheelless(self, name: str, possible: str) -> tuple[str, ...]:
        """Return what a version of a requested package needs of which there are sdists alone."""
        wanted = (each for _, needs in self._needs_of_releases(name, possible) for each in needs)
        lacking = (e for e in wanted if e.name not in self._chosen and not self._can_be_had(e))
        return tuple(sorted({each.name for each in lacking if self._is_wheelless(each)}))

    def _is_wheelless(self, requirement: Requirement) -> bool:
        judged = self._problem.judged(requirement.name)
        inside = (each for each in judged if _has(requirement, each.version))
        return any(is_sdist_only(self._problem, each) for each in inside)

    def _with_pre_releases(self, name: str) -> list[str]:
        """Return the versions on the index that may be taken, where need be of pre-releases."""
        judged = self._problem.judged(name)
        return [each.version for each in judged if each.usable or "pre-release" in each.reason]


def _has(requirement: Requirement, version: str) -> bool:
    return requirement.specifier.contains(version, prereleases=True)


def _public(version: str) -> str:
    return Version(version).public


def _spaced(line: str) -> str:
    """Return a requirement of repodata with a space between name and bound."""
    name = named_in(line)
    return f"{name} {line.strip()[len(name) :].strip()}".strip()
