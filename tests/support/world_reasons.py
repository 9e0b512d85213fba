"""What is not so of the reasons that a lock of a world gives, and of a refusal."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from elt_env.errors import Fact, UnsatisfiableError
from elt_env.lockfile.document import HeldBack, Lock
from tests.support.worlds import Answer, Build, Spec, World, applies, conda_admits, named, read


def false_reasons(world: World, answer: Answer, lock: Lock, said: Sequence[str]) -> Iterator[str]:
    """Yield what is not so of what is said to be held back, and of the warnings."""
    expected = {}
    for name in world.requested(answer.python):
        ladder = [*world.ladder(name, answer.python)]
        mine = world.rung_in(name, answer)
        if ladder and ladder[0] > mine:
            expected[name] = str(ladder[0][1])
    told = {each.name: each.possible for each in lock.held_back}
    if {name: SpecifierSet(f"=={each}") for name, each in told.items()} != {
        name: SpecifierSet(f"=={each}") for name, each in expected.items()
    }:
        yield f"held back is {expected}, said was {told}"
    for each in lock.held_back:
        yield from _false_reason(world, each, answer)
    for line in said:
        if line.startswith("WARNING: "):
            yield from _false_warning(world, line, answer, lock)


def _false_warning(world: World, line: str, answer: Answer, lock: Lock) -> Iterator[str]:
    if any(line == f"WARNING: {each}" for each in lock.held_back):
        return
    yanked = [
        f"{k} {each.version} was yanked" for k, each in answer.releases.items() if each.yanked
    ]
    if "it is taken since it is pinned" in line and any(each in line for each in yanked):
        return
    if line.startswith("WARNING: pip ") and line.endswith("; the answer of uv is taken"):
        return
    shared = _SHARED.match(line)
    names = shared["names"].split(", ") if shared else ()
    if names and all(len({each.channel for each in world.conda[name]}) > 1 for name in names):
        return
    yield f"a false warning, or a new one: {line}"


_SHARED = re.compile(r"WARNING: (?P<names>.+) (?:is|are) on .+; taken from the first of them")
_REASON = re.compile(
    r"(?P<who>\S+) (?P<version>\S+) needs (?P<need>\S+)(?: (?P<bound>.*?))?"
    r"(?:, which is (?P<other>\S+))?"
)
_MISSING = re.compile(
    r"(?P<who>\S+) (?P<version>\S+) needs (?P<need>\S+?)(?: (?P<bound>\S+))?"
    r", of which no index has a usable version"
)
_ASKED = re.compile(r"the spec asks for (?P<line>\S+)")


def _false_reason(world: World, held: HeldBack, answer: Answer) -> Iterator[str]:
    """Yield what is not so of the reason for which something is older than its newest version."""
    if not held.reason:
        return
    asked = _ASKED.fullmatch(held.reason)
    if asked:
        yield from _not_asked(world, held, asked["line"], answer.python)
        return
    missing = _MISSING.fullmatch(held.reason)
    if missing:
        yield from _not_missing(world, held, missing, answer.python)
        return
    found = _REASON.fullmatch(held.reason)
    if found is None:
        yield f"a reason of another form: {held.reason}"
        return
    who, version, need, bound = found["who"], found["version"], found["need"], found["bound"] or ""
    needs = [*_needs(world, who, version, need, answer.python)]
    if bound not in needs:
        yield f"a false reason: {held.reason}; {who} {version} needs {need} {needs}"
    other = found["other"]
    if other:
        carried = _carried_at(world, held.name, held.possible)
        meant = {(name, Version(each).public) for name, each in carried}
        meant |= {(held.name, Version(held.possible).public)}
        public = Version(version).public
        if (
            other not in _locked(answer, need)
            or _left(need, bound, {other})
            or (who, public) not in meant
        ):
            yield f"a reason that is none: {held.reason}, not {held.possible} of {held.name}"
        return
    barred = {each for name, each in _carried_at(world, held.name, held.possible) if name == need}
    barred |= {held.possible} if need == held.name else set()
    barred = barred or {held.possible}  # a package stands for what it carries
    if version not in _locked(answer, who) or _left(need, bound, barred) == barred:
        yield f"a reason that is none: {held.reason}, not {held.possible} of {held.name}"


def _locked(answer: Answer, name: str) -> set[str]:
    """Return the versions of the distribution and of conda's package of a name in an answer."""
    builds = {each.version for package, each in answer.builds.items() if package == name}
    return builds | {each for each in [answer.versions.get(name)] if each}


def _not_missing(world: World, held: HeldBack, told: re.Match[str], python: str) -> Iterator[str]:
    """Yield what is not so of a version that needs what nobody has."""
    who, need, bound = told["who"], told["need"], told["bound"] or ""
    meant = {(held.name, Version(held.possible).public)}
    meant |= {(n, Version(v).public) for n, v in _carried_at(world, held.name, held.possible)}
    needs = [*_needs(world, who, told["version"], need, python)]
    there = {each.version for each in world.usable_releases(need, world.spec, python)}
    is_meant = (who, Version(told["version"]).public) in meant
    if bound not in needs or not is_meant or _left(need, bound, there):
        yield f"a false reason: {held.reason}; needs {needs}, there are {there}"


def _carried_at(world: World, name: str, version: str) -> set[tuple[str, str]]:
    """Return the distributions in the builds of a version."""
    builds = [each for each in world.conda.get(name, ()) if each.version == version]
    return {pair for each in builds for pair in each.carries.items()}


def _not_asked(world: World, held: HeldBack, line: str, python: str) -> Iterator[str]:
    """Yield what is not so of a requirement of the spec that keeps something from a version."""
    asked = [read(each) for each in (*world.spec.pip, *world.spec.constraints)]
    same = [each for each in asked if f"{each.name}{each.specifier}" == line]
    meant = {(held.name, held.possible), *_carried_at(world, held.name, held.possible)}
    if not any(
        applies(str(each), python) and not each.specifier.contains(version, prereleases=True)
        for each in same
        for name, version in meant
        if name == each.name
    ):
        yield f"a reason that is none: {held.reason}, not {held.possible} of {held.name}"


def _left(name: str, bound: str, offered: set[str]) -> frozenset[str]:
    """Return what a bound, as either half writes it, leaves of the versions on offer."""
    try:
        within = SpecifierSet(bound)
    except ValueError:
        return frozenset(v for v in offered if _conda_has(f"{name} {bound}", v))
    return frozenset(v for v in offered if within.contains(v, prereleases=True))


def _conda_has(requirement: str, version: str) -> bool:
    return conda_admits(requirement.rsplit(" ", requirement.count(" ") - 1)[0], Build(version))


def _needs(world: World, who: str, version: str, need: str, python: str) -> Iterator[str]:
    """Yield the bounds that a version of a package or distribution puts on another."""
    for build in world.conda.get(who, ()):
        if version in (build.version, build.carries.get(who)):
            some = (*build.depends, *build.constrains)
            yield from (each.removeprefix(need).strip() for each in some if named(each) == need)
    if need == "python":
        for release in world.index.get(who, ()):
            if Version(release.version).public == Version(version).public:
                yield release.requires_python or ""
    for line in _lines(world, who, version):
        if read(line).name == need and applies(line, python):
            yield str(read(line).specifier)


def _lines(world: World, who: str, version: str) -> Iterator[str]:
    """Yield what the metadata of a distribution ask for, with any extra."""
    for build in (each for builds in world.conda.values() for each in builds):
        if build.carries.get(who) == version:
            yield from build.requires.get(who, ())
            yield from itertools.chain(*build.extras.get(who, {}).values())
    for release in world.index.get(who, ()):
        if Version(release.version).public == Version(version).public:
            yield from release.requires
            yield from itertools.chain(*release.extras.values())


_CORE = re.compile(r"^  (?P<side>conda|pip|constraint): (?P<text>.*)$", re.MULTILINE)
_QUOTED = r"'(?:conda|pip|constraint): [^']*'"
_WAYS = re.compile(
    rf"(?P<verb>[Ll]oosen|[Ll]eave out) (?P<units>{_QUOTED}(?: (?:or|and) {_QUOTED})*)"
)
_UNIT = re.compile(r"'(?P<side>conda|pip|constraint): (?P<text>[^']*)'")
_PARTS = {"conda": "conda", "pip": "pip", "constraint": "constraints"}
_PROBES = {
    *("0.1", "0.9", "1.0a1", "1.0", "1.0.post1", "1.0.1", "1.0.80", "1.9", "1.9.1", "1.10"),
    *("2.0.dev0", "2.0.dev1", "2.0a1", "2.0b2", "2.0rc1", "2.0", "2.0.post1", "2.0.1", "2.0.80"),
    *("2.9", "3.0.dev0", "3.0a1", "3.0", "3.0.1", "3.0.80", "4.0", "1!0.5", "1!1.0"),
}
"""Versions on both sides of every bound that a world can have."""


def false_conflict(world: World, error: UnsatisfiableError) -> Iterator[str]:
    """Yield what is not so of why nothing can be locked: its requirements are a smallest set."""
    problem = str(error.problem)
    for name in re.findall(r"no index has a package '(\S+)'", problem):
        if name in world.index:
            yield f"it is there: {error}"
    for fact in error.facts:
        yield from _false_fact(world, fact)
    core = _core_of(world, problem)
    if core is None:
        yield f"it names no requirement: {error}"
        return
    if next(world.answers(core), None) is not None:
        yield f"these can hold together: {core}\n{error}"
        return
    for smaller in _without_one(core):
        if not _can_hold(world, smaller):
            yield f"not a smallest set: {core}, {smaller} does\n{error}"
            return
    for found in _WAYS.finditer(error.remedy):
        yield from _false_ways(world, found)


def _false_fact(world: World, fact: Fact) -> Iterator[str]:
    """Yield what is not so of what something is said to need."""
    if fact.verb != "needs":
        return
    python = _conda_python(world)
    for version in _meant(world, fact, python):
        needs = [*_needs(world, fact.name, version, fact.need, python)]
        joined = (
            ",".join(some)
            for count in range(len(needs) + 1)
            for some in itertools.permutations(needs, count)
        )
        if not needs or not any(_means(fact.bound, each, fact.need) for each in joined):
            yield f"not so of {version}: {fact}, {needs}"


def _conda_python(world: World) -> str:
    """Return the Python that conda alone would bring, under which a conflict is told."""
    newest_first = sorted(world.pythons, key=Version, reverse=True)
    had = (p for p in newest_first if next(world.conda_solutions(world.spec, p), None) is not None)
    return next(had, newest_first[0])


def _meant(world: World, fact: Fact, python: str) -> frozenset[str]:
    """Return the versions that a fact is about: of builds, those that some Python can have."""
    if fact.owner != "conda":
        offered = world.usable_releases(fact.name, world.spec, python)
        return _left(fact.name, fact.which, {each.version for each in offered})
    every = [(name, each) for name, builds in world.conda.items() for each in builds]
    pairs = itertools.product(world.conda, world.pythons)
    can = [each for pair in pairs for each in world.usable_builds(pair[0], world.spec, pair[1])]
    for some in ([(name, each) for name, each in every if each in can], every):
        versions = {each.version for name, each in some if name == fact.name}
        carried = {each.carries[fact.name] for _, each in some if fact.name in each.carries}
        # Of a package's version and a local one of what it carries, the package's is told.
        versions |= {each for each in carried if Version(each).public not in versions}
        found = _left(fact.name, fact.which, versions)
        if found:
            return found
    return frozenset()


def _means(bound: str, other: str, name: str) -> bool:
    """Tell whether two bounds are one, maybe in other words, as a resolver tells of an sdist's."""
    return bound == other or _left(name, bound, _PROBES) == _left(name, other, _PROBES)


def _false_ways(world: World, found: re.Match[str]) -> Iterator[str]:
    """Yield what does not help of what an error proposes to loosen or to leave out."""
    units = [(_PARTS[each["side"]], each["text"]) for each in _UNIT.finditer(found["units"])]
    for some in [units] if "' and '" in found["units"] else [[each] for each in units]:
        again = found["verb"].lower() == "loosen"
        fields = {}
        for part in _PARTS.values():
            plain = _plain if part == "conda" else _as_read
            gone = {plain(text) for one, text in some if one == part}
            lines = getattr(world.spec, part)
            if part != "constraints":  # what several lines ask of one name is one requirement
                names = [_name(each) for each in lines]
                twice = {_name(text) for one, text in some if one == part}
                gone |= {plain(e) for e in lines if _name(e) in twice and names.count(_name(e)) > 1}
            kept = [each for each in lines if plain(each) not in gone]
            free = [_loose(text, lines) for one, text in some if one == part != "constraints"]
            fields[part] = (*kept, *(free if again else ()))
        if next(world.answers(Spec(**fields)), None) is None:
            yield f"it does not help: {found[0]}"


def _loose(text: str, lines: tuple[str, ...]) -> str:
    """Return what a requirement asks for without its bounds, from the channel that it names."""
    same = _conda_lines(text, lines) if "::" in text else []
    channel = next((each.rpartition("::")[0] for each in same if "::" in each), "")
    return f"{channel}::{_bare(text)}" if channel else _bare(text)


def _bare(text: str) -> str:
    """Return what a requirement asks for, without its bounds."""
    return re.split(r"[\s<>=!~;]", text.rpartition("::")[2])[0]


def _name(text: str) -> str:
    """Return the name of what a requirement asks for."""
    return _bare(text).partition("[")[0]


def _can_hold(world: World, core: Spec) -> bool:
    """Tell whether requirements hold, alone or with more of the spec's.

    With more, more may be possible: what conda brings has other metadata than the index's.
    """
    rest = [
        (part, line)
        for part in ("conda", "pip", "constraints")
        for line in getattr(world.spec, part)
        if line not in getattr(core, part)
    ]
    for count in range(len(rest) + 1):
        for some in itertools.combinations(rest, count):
            more = {part: tuple(line for one, line in some if one == part) for part, _ in rest}
            spec = Spec(
                core.conda + more.get("conda", ()),
                core.pip + more.get("pip", ()),
                core.constraints + more.get("constraints", ()),
            )
            if next(world.answers(spec), None) is not None:
                return True
    return False


def _core_of(world: World, problem: str) -> Spec | None:
    by_side: dict[str, list[str]] = {"conda": [], "pip": [], "constraint": []}
    for each in _CORE.finditer(problem):
        by_side[each["side"]].append(each["text"])
    if not any(by_side.values()):
        return None
    return Spec(
        tuple(line for each in by_side["conda"] for line in _conda_lines(each, world.spec.conda)),
        _as_asked(by_side["pip"], world.spec.pip),
        _as_asked(by_side["constraint"], world.spec.constraints),
    )


def _conda_lines(text: str, lines: tuple[str, ...]) -> list[str]:
    """Return the lines of the spec that a text is about: one, or all that ask for one name."""
    parts = text.split(" and ")  # what several lines ask of one package
    if len(parts) > 1:
        return [line for each in parts for line in _conda_lines(each, lines)]
    same = [each for each in lines if _name(each) == _name(text)]
    for each in same:
        if (_plain(each), "::" in each) == (_plain(text), "::" in text):
            return [each]
    return same if len(same) > 1 else [text]


def _as_asked(texts: Iterable[str], lines: Iterable[str]) -> tuple[str, ...]:
    """Return the lines of the spec that texts are about, however they are written there."""
    known = {str(read(each)): each for each in lines}
    return tuple(known.get(str(read(each)), each) for each in texts)


def _plain(line: str) -> str:
    """Return a requirement of conda without what is written anew: its channel and spaces."""
    return re.sub(r"[ =*]", "", line.rpartition("::")[2])


def _as_read(line: str) -> str:
    return str(read(line))


def _without_one(core: Spec) -> Iterator[Spec]:
    """Yield the rest for each requirement; what several lines ask of conda's one is one."""
    for name in dict.fromkeys(map(_name, core.conda)):
        rest = tuple(each for each in core.conda if _name(each) != name)
        yield Spec(rest, core.pip, core.constraints)
    for part in ("pip", "constraints"):
        lines = getattr(core, part)
        for number in range(len(lines)):
            fields = {"conda": core.conda, "pip": core.pip, "constraints": core.constraints}
            fields[part] = (*lines[:number], *lines[number + 1 :])
            yield Spec(**fields)
