"""Contenders: the versions that what is asked for could have alone, and those that are banned."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from packaging.requirements import Requirement
from packaging.version import Version

from elt_env.index.project_page import ProjectPage
from elt_env.lock.best_answer import Contender, Places, steps
from elt_env.lock.joint import JointProblem, all_news
from elt_env.lock.joint_choice import Choice
from elt_env.lock.joint_shelf import JointShelf
from elt_env.lock.releases import News, excluded_by_python
from elt_env.lock.solve import as_requirement
from elt_env.package.names import named_in, normalize
from elt_env.spec.markers import applies


def contenders(problem: JointProblem, choice: Choice) -> tuple[tuple[Contender, ...], Places]:
    """Return what a person asked for, and which of its versions a choice has."""
    found: list[tuple[Contender, int]] = []
    shelf = problem.shown
    asked = [Requirement(each) for each in problem.question.spec.pip]
    names = {each.name for each in asked if applies(each, problem.python)}
    if problem.offered is None:
        names |= {normalize(each.name) for each in problem.question.spec.conda}
    else:
        found += [
            _conda_contender(problem, each.name, choice, shelf)
            for each in problem.question.spec.conda
        ]
    pages = problem.pages.read(names)
    for name in sorted(names):
        found.append(_pip_contender(problem, name, pages.get(name), choice, shelf))
    usable: dict[str, tuple[Contender, int]] = {}
    for each, place in found:
        if each.steps and place >= 0:
            usable.setdefault(each.name, (each, place))  # what conda owns is asked of conda
    order = sorted(usable)
    return tuple(usable[name][0] for name in order), {name: usable[name][1] for name in order}


def _conda_contender(
    problem: JointProblem, name: str, choice: Choice, shelf: JointShelf
) -> tuple[Contender, int]:
    half = problem.half
    if half is None or name not in choice.builds:
        return Contender(name, ()), -1
    specs = [each for each in half.specs if named_in(each) == name]
    places = set(half.usable(name)).intersection(*(half.allowed(each) for each in specs))
    rungs: list[tuple[str, float | None, int]] = []
    for place in sorted(places):
        build = half.offered.builds(name)[place]
        same = rungs.pop() if rungs and rungs[-1][0] == build.version else None
        day = _first_day(same[1] if same else None, build.released_at)
        rungs.append((build.version, day, half.number(name, place)))
    kept = {each.name: each.version for each in problem.question.keep_conda("remote")}.get(name)
    start = next((place for place, each in enumerate(rungs) if each[0] == kept), 0)
    rungs = rungs[start:]
    ladder = steps([(text, day, shelf.at_least(name, low)) for text, day, low in rungs])
    return Contender(name, ladder), sum(low > choice.builds[name] for *_, low in rungs)


def _pip_contender(
    problem: JointProblem, name: str, page: ProjectPage | None, choice: Choice, shelf: JointShelf
) -> tuple[Contender, int]:
    if name not in problem.ladders:
        problem.ladders[name] = _possible(problem, name, page, shelf)
    days = problem.ladders[name]
    chosen = choice.version(name)
    if chosen is None:
        return Contender(name, ()), -1
    kept = {**dict(problem.question.keep_pip), **_kept_host(problem)}.get(name)
    newest_first = sorted(days, reverse=True)
    limit = Version(Version(kept).public) if kept else None
    if limit in days:
        newest_first = [each for each in newest_first if each <= limit]
    ladder = steps([(str(each), days[each], f"{name}>={each}") for each in newest_first])
    public = Version(Version(chosen).public)
    return Contender(name, ladder), sum(each > public for each in newest_first)


def _possible(
    problem: JointProblem, name: str, page: ProjectPage | None, shelf: JointShelf
) -> dict[Version, float | None]:
    """Return the versions that a distribution could have alone, and the day of each."""
    days = _carried(problem, name, shelf)
    listed = _usable(problem, name, page) if page else []
    if page and not listed and all(each.is_prerelease for each in days):
        # Where neither half has anything else, pre-releases count (PEP 440).
        listed = _usable(problem, name, page, f"{name}>=0.dev0")
    for each in listed:
        version = Version(Version(each.version).public)
        days[version] = _first_day(days.get(version), each.released_at)
    return days


def _carried(problem: JointProblem, name: str, shelf: JointShelf) -> dict[Version, float | None]:
    """Return the versions that conda could bring of what the spec says, and the day of each."""
    days: dict[Version, float | None] = {}
    spec = problem.question.spec
    bounds = [
        each.specifier
        for each in map(Requirement, (*spec.pip, *spec.constraints))
        if each.name == name and applies(each, problem.python)
    ]
    for stub in shelf.stubs(name):
        version = Version(stub.version)
        if all(each.contains(version, prereleases=True) for each in bounds):
            version = Version(version.public)
            build = shelf.half.build(stub.package, stub.number) if shelf.half else None
            released = build.released_at if build else None
            days[version] = _first_day(days.get(version), released)
    return days


def _kept_host(problem: JointProblem) -> dict[str, str]:
    if problem.offered is not None:
        return {}
    return {each.name: each.version for each in problem.question.keep_conda("host")}


def _first_day(known: float | None, moment: datetime | None) -> float | None:
    """Return the earlier of two days since 1970; None where neither is known."""
    if moment is None:
        return known
    day = moment.timestamp() / 86400
    return day if known is None else min(known, day)


def ban(problem: JointProblem, choice: Choice) -> bool:
    """Learn which versions of what was chosen may not be taken; tell whether any are new.

    A resolver that leaves upper bounds of Requires-Python aside (uv) chooses what pip refuses,
    and takes a pre-release where nothing else fits the rest, not only where nothing else fits
    what asks for it (PEP 440).
    """
    mine = {each.name: each.version for each in choice.resolved if not each.on_shelf}
    new = False
    for name, page in problem.pages.read(mine).items():
        if excluded_by_python(page, problem.python, mine[name]):
            banned = excluded_by_python(page, problem.python)
            new |= problem.learned.banned.get(name) != banned
            problem.learned.banned[name] = banned
        if Version(mine[name]).is_prerelease and name not in problem.learned.early:
            early = _needless_pre_releases(problem, name, page)
            new |= bool(early)
            problem.learned.early |= {name: early} if early else {}
    return new


def _needless_pre_releases(problem: JointProblem, name: str, page: ProjectPage) -> tuple[str, ...]:
    """Return the pre-releases of what the spec asks for, where it could have another release.

    () where the spec or the policy lets pre-releases in.
    """
    asked = any(Requirement(each).name == name for each in problem.question.spec.pip)
    alone = _possible(problem, name, page, problem.shelf()) if asked else {}
    usable = (Version(each.version) for each in _usable(problem, name, page))
    let_in = problem.question.options.pre or any(each.is_prerelease for each in usable)
    if let_in or all(each.is_prerelease for each in alone):
        return ()
    early = (each for each in page.versions if Version(each).is_prerelease)
    return tuple(sorted(early, key=Version))


def _usable(problem: JointProblem, name: str, page: ProjectPage, *bounds: str) -> list[News]:
    """Return the versions on the index that the spec, and further bounds, admit."""
    more = [*problem.question.spec.constraints, *bounds]
    if problem.offered is None:
        more += map(as_requirement, problem.question.spec.conda)
    rules = replace(problem.rules, requirements=(*problem.rules.requirements, *more))
    return [each for each in all_news(name, page, rules) if each.usable]
