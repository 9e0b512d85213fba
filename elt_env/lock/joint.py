"""The joint resolve: one request for both halves, and what was learned that it must respect."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from packaging.version import Version

from elt_env.conda import Carried, Offered, SolveRequest
from elt_env.errors import (
    EltEnvError,
    NoReleaseError,
    PackageNotFoundError,
    PipConflictError,
    UnsatisfiableError,
)
from elt_env.index.project_page import ProjectPage
from elt_env.lock.best_answer import Clause
from elt_env.lock.conda_half import CondaHalf
from elt_env.lock.joint_choice import Choice, choice_of
from elt_env.lock.joint_shelf import Alternative, JointShelf
from elt_env.lock.learned import Learned
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.pages import Pages
from elt_env.lock.releases import News, Rules, news
from elt_env.lock.request import LockRequest, pre_release_bounds, release_rules
from elt_env.lock.solve import as_requirement
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.package.platform import python_on
from elt_env.pip import ResolveRequest
from elt_env.project.policy import Policy


class _Way(NamedTuple):
    """One of the ways to ask a resolver that cannot be asked for all of them at once.

    Attributes:
        absent: distributions that pip's half does without.
        owned: distributions of which conda brings what a bound would exclude, if anything.
        sdists: distributions that are taken as sdists.
        bounds: what keeps the resolver to that, and from what was learned.
    """

    absent: tuple[str, ...]
    owned: tuple[str, ...]
    sdists: tuple[str, ...]
    bounds: tuple[str, ...]


def common_request(question: LockRequest, python: str, policy: Policy) -> ResolveRequest:
    """Return what every request to the resolver for a question has in common."""
    return ResolveRequest(
        requirements=(),
        python=python_on(python, question.platform),
        exclude_newer=question.exclude_newer,
        not_held=question.not_held,
        undated=question.undated,
        wheels_only=policy.wheels_only,
        yanked=policy.yanked,
        pre=question.options.pre,
        only_binary=question.options.only_binary,
        no_binary=question.options.no_binary,
        hashes=question.options.hashes,
    )


class JointProblem:
    """What is asked of both halves under one Python.

    Args:
        question: what to lock.
        python: the full version of the Python.
        tools: those that make a lock.
        say: told what could not be found out.
        offered: what the channels offer; None where conda's half is made of the index's wheels.
        asked: what is asked of conda, Python included.
        archives: whether it is looked into the archives of packages for what they carry.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # the parts of one problem
        self,
        question: LockRequest,
        python: str,
        tools: LockTools,
        say: Say,
        offered: Offered | None,
        asked: SolveRequest,
        *,
        archives: bool = True,
    ) -> None:
        self.question = question
        self.python = python_on(python, question.platform)
        self.tools = tools
        self.offered = offered
        self.asked = asked
        self.pages = Pages(tools.package_index, tools.files, say)
        self.learned = Learned()
        self.half = self._half(offered) if offered else None
        self._carried: dict[str, tuple[Carried, ...]] = {}
        self._fresh = True
        self.ladders: dict[str, dict[Version, float | None]] = {}
        self._shown: JointShelf | None = None
        self.archives = archives
        if self.half is not None and archives:
            self._read_archives(self.half)

    def _half(self, offered: Offered) -> CondaHalf:
        return CondaHalf(offered, map(str, self.asked.specs), f"python =={self.python}")

    def limited(self, question: LockRequest) -> JointProblem:
        """Return the same problem with other requirements on the same packages.

        What was learned of distributions holds there as well, what was learned of builds does not.
        """
        other = copy.copy(self)
        pythons = (each for each in self.asked.specs if each.name == "python")
        other.question = question
        other.asked = replace(self.asked, specs=(*pythons, *question.spec.conda))
        other.learned = Learned(self.learned.banned)
        other.ladders, other._shown = {}, None  # noqa: SLF001  # it is a copy of this one
        if self.offered is not None:
            other.offered = self.offered.asking(other.asked.specs)
            other.half = other._half(other.offered)  # noqa: SLF001
            if self.archives:
                other._read_archives(other.half)  # noqa: SLF001
        return other

    def _read_archives(self, half: CondaHalf) -> None:
        """Look into the archives at hand, and into the best build of each package elsewhere."""
        wanted: list[Package] = []
        for name in half.python_packages():
            builds = [half.offered.builds(name)[each] for each in half.usable(name)]
            near = [each for each in builds if each.url.startswith("file:")]
            wanted += near or builds[:1]
        self.look_into(wanted)

    def look_into(self, builds: Sequence[Package]) -> bool:
        """Read what builds carry; return whether one carries something else than was thought."""
        new = [each for each in builds if each.sha256 not in self._carried]
        before = [self._pairs(self.carried(each)) for each in new]
        found = self.tools.conda.carried(new) if new else ()
        self.ladders.clear()
        self._shown = None
        self._carried |= {one.sha256: each for one, each in zip(new, found, strict=True)}
        return any(
            pairs != self._pairs(each) or any(one.metadata for one in each)
            for pairs, each in zip(before, found, strict=True)
        )

    @staticmethod
    def _pairs(carried: Iterable[Carried]) -> list[tuple[str, str]]:
        return [(each.name, each.version) for each in carried]

    def carried(self, build: Package) -> Sequence[Carried]:
        """Return what a build carries: read from its archive, else as its best sibling does."""
        known = self._carried.get(build.sha256)
        if known is not None or self.half is None:
            return known or ()
        siblings = self.half.offered.builds(build.name)
        best = next((each for each in siblings if each.sha256 in self._carried), None)
        like = self._carried[best.sha256] if best else ()
        return [Carried(each.name, build.version, "") for each in like]

    def shelf(self) -> JointShelf:
        """Return a new shelf."""
        return JointShelf(self.half, self.carried)

    @property
    def shown(self) -> JointShelf:
        """A shelf to look things up on, as it is by now."""
        if self._shown is None:
            self._shown = self.shelf()
        return self._shown

    def resolve(  # one keyword for each way to ask
        self,
        say: Say,
        clauses: Sequence[Clause] = (),
        *,
        limit: float | None = None,
    ) -> Choice:
        """Return what the resolver chooses, by all that was learned so far.

        Args:
            say: told what the resolver says.
            clauses: sets of requirements, of each of which one must hold.
            limit: seconds that it may take; None means the tool's own limit.

        Raises:
            UnsatisfiableError: there is no such answer.
            TimeLimitError: it took longer than `limit`.
        """
        failure: UnsatisfiableError | None = None
        for way in self._ways():
            shelf = self.shelf()
            request = self._request(shelf, clauses, limit, way)
            say(
                f"pip: resolving {len(self._asked(shelf))} requirements of both halves"
                + (", newer" * bool(clauses))
            )
            try:
                return self._resolve(say, request, shelf)
            except UnsatisfiableError as error:
                failure = failure or error
        raise failure or AssertionError

    def first_request(self) -> ResolveRequest:
        """Return what the resolver is asked first."""
        return self._request(self.shelf(), (), None, next(self._ways()))

    def _ways(self) -> Iterator[_Way]:
        """Yield the ways to ask, the one that leaves most open first."""
        ways = itertools.product(self._absences(), _subsets(self._ambiguous()), self._modes())
        for absent, owned, (sdists, only) in ways:
            yield _Way(absent, owned, sdists, (*only, *self._bounds(absent, owned)))

    def _ambiguous(self) -> tuple[str, ...]:
        """Return the distributions of which a bound would exclude more than what is excluded."""
        shelf = self.shelf()
        return tuple(sorted(each for each in self.learned.excluded if self._spared(shelf, each)))

    def _spared(self, shelf: JointShelf, name: str) -> list[Alternative]:
        """Return the ways to what a bound against excluded versions would exclude beside them.

        A bound against a version is one against its local versions too (PEP 440): those that conda
        brings, and those of the index that are not excluded themselves.
        """
        excluded = self.learned.excluded[name]
        page = self.pages.read([name]).get(name)
        versions = set(map(Version, page.versions)) if page else set()
        local = {each for each in versions - excluded if each.local}
        spared = sorted(each for each in local if Version(each.public) in excluded)
        return [*shelf.owning(name, excluded), *([f"{name}=={each}"] for each in spared)]

    def _absences(self) -> Iterator[tuple[str, ...]]:
        """Yield the sets of distributions to do without, where conda's bounds are on pip's half."""
        yield from _subsets(sorted({each.distribution for each in self.learned.clashes}))

    def _modes(self) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
        """Yield the distributions to take as sdists, and the bounds that keep these to sdists.

        A resolver takes wheels or sdists of a distribution; what may be an sdist is one only in
        those versions of which no wheel fits, and never what conda brings.
        """
        policy = self.tools.project.policy
        allowed = sorted(map(normalize, policy.allow_sdist)) if policy.wheels_only else []
        either: dict[str, str] = {}
        always: list[str] = []
        stubs = self.shelf().stub_names if allowed else ()
        pages = self.pages.read(allowed) if allowed else {}
        if self.pages.is_lost:
            either = dict.fromkeys((each for each in allowed if each not in pages), "")
        for name, page in pages.items():
            as_wheel = self._installable(name, page, allow_sdist=())
            if len(as_wheel) == len(self._installable(name, page, allow_sdist=(name,))):
                continue
            if as_wheel or name in stubs:
                # Of the others there is none; and a bound would be one on local versions too.
                sdists = {each.version for each in page.files if not each.is_wheel}
                twice = [each.version for each in as_wheel if each.version in sdists]
                either[name] = ",".join(f"!={each}" for each in twice)
            else:
                always.append(name)
        for names in _subsets(either):
            bounds = tuple(f"{each}{either[each]}" for each in names if either[each])
            yield (*always, *names), bounds

    def _installable(
        self, name: str, page: ProjectPage, allow_sdist: tuple[str, ...]
    ) -> list[News]:
        """Return the versions that have a file for this Python and platform, withdrawn or not."""
        rules = replace(
            self.rules,
            allow_sdist=allow_sdist,
            wheels_only=True,
            requirements=(f"{name}>=0.dev0",),
        )
        files = tuple(replace(each, yanked=None) for each in page.files)
        return [each for each in all_news(name, replace(page, files=files), rules) if each.usable]

    def _request(
        self, shelf: JointShelf, clauses: Sequence[Clause], limit: float | None, way: _Way
    ) -> ResolveRequest:
        wanted = [each[0] if len(each) == 1 else [shelf.any_of(each)] for each in clauses]
        choices = [*self._choices(shelf, way.absent), *(one for each in wanted for one in each)]
        choices += [shelf.any_of(self._spared(shelf, each)) for each in way.owned]
        bounds = (*self.question.spec.constraints, *pre_release_bounds(self.tools.project.policy))
        return replace(
            self.request(),
            requirements=(*self._asked(shelf), *choices),
            bounds=(*bounds, *way.bounds),
            keep=self._keep(shelf),
            allow_sdist=way.sdists,
            shelf=shelf if self.offered is not None or choices else None,
            limit=limit,
            fresh=self._fresh,
        )

    def _asked(self, shelf: JointShelf) -> list[str]:
        """Return what the spec asks of both halves, as requirements for the resolver."""
        asked = {*self.question.pip, *shelf.roots}
        if self.offered is None:
            asked |= {*map(as_requirement, self.question.spec.conda)}
        return sorted(asked)

    def _resolve(self, say: Say, request: ResolveRequest, shelf: JointShelf) -> Choice:
        self._fresh = False
        try:
            resolved = self.tools.resolver.resolve(request, say)
        except NoReleaseError as error:
            raise self._why_none(error) from error
        self.pages.learn(resolved)
        return choice_of(resolved, shelf, request.allow_sdist)

    def _why_none(self, error: NoReleaseError) -> EltEnvError:
        """Return why nothing may be taken of a distribution, by what its page has."""
        page = self.pages.read([error.name]).get(error.name)
        if page is None and self.pages.is_nowhere(error.name):
            return PackageNotFoundError(
                f"No package '{error.name}' on the index.",
                "Add the index that has it as extra-indexes in [tool.elt-env].",
            )
        judged = all_news(error.name, page, self.rules) if page else ()
        reasons = "; ".join(each.reason for each in judged[:3] if each.reason)
        if not reasons:
            return error
        found = PipConflictError(
            f"No version of {error.name} on the index may be taken: {reasons}.",
            "Ask for a version that may, or pin the one that you want.",
        )
        found.explanation = error.explanation or found.explanation
        return found

    def request(self) -> ResolveRequest:
        """Return what every request has in common."""
        return common_request(self.question, self.python, self.tools.project.policy)

    def _choices(self, shelf: JointShelf, absent: tuple[str, ...]) -> list[str]:
        """Return the requirements that keep the resolver from what was refused."""
        found = [
            shelf.any_of([[shelf.other_than(name, [number])] for name, number in builds.items()])
            for builds in self.learned.refused
            if shelf.half
        ]
        for each in self.learned.clashes:
            if each.distribution not in absent and shelf.half:
                barred = shelf.other_than(each.package, each.numbers)
                others = shelf.owning(each.distribution)
                found.append(shelf.any_of([[barred], [each.requirement], *others]))
        return found

    def _bounds(self, absent: tuple[str, ...], owned: tuple[str, ...]) -> tuple[str, ...]:
        excluded = self.learned.excluded.items()
        bounds = [
            name + ",".join(f"!={each}" for each in sorted(versions))
            for name, versions in excluded
            if name not in owned
        ]
        return (*bounds, *(f"{each}<0.dev0" for each in absent))

    def _keep(self, shelf: JointShelf) -> tuple[tuple[str, str], ...]:
        question = self.question
        keep = dict(question.keep_pip)
        if self.offered is None:
            keep |= {each.name: each.version for each in question.keep_conda("host")}
            return tuple(sorted(keep.items()))
        found = list(keep.items())
        for package in question.keep_conda("remote"):
            found += shelf.preferences(package)
        return tuple(sorted(found))

    @property
    def rules(self) -> Rules:
        """What a release on the index must fulfil."""
        return release_rules(
            self.question, self.python, self.tools.project.policy, self.tools.store.now
        )

    def judged(self, name: str) -> tuple[News, ...]:
        """Return what there is to say of each version of a distribution, newest first."""
        page = self.pages.read([name]).get(name)
        return all_news(name, page, replace(self.rules, requirements=())) if page else ()

    def has_sdist(self, name: str, version: str) -> bool:
        """Tell whether the index has an sdist of a version."""
        page = self.pages.read([name]).get(name)
        files = page.of(version) if page else ()
        return any(not each.is_wheel and each.yanked is None for each in files)

    def python_bound(self, name: str, version: str) -> str:
        """Return the Requires-Python of a version on the index."""
        page = self.pages.read([name]).get(name)
        files = page.of(version) if page else ()
        return next((each.requires_python or "" for each in files), "")

    def distributions_of(self, package: str) -> set[str]:
        """Return the distributions that a conda package stands for; its own name in any case."""
        found = {normalize(package)}
        known = self.half and package in self.half.reachable
        for build in self.offered.builds(package) if self.offered and known else ():
            found |= {each.name for each in self._carried.get(build.sha256, ())}
        return found


def _subsets(names: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield all sets of some names, the smallest first."""
    known = tuple(names)
    for count in range(len(known) + 1):
        yield from itertools.combinations(known, count)


def all_news(name: str, page: ProjectPage, rules: Rules) -> tuple[News, ...]:
    """Return what there is to say of each version on the page of a distribution, newest first."""
    return news(Package("pip", name, "0", url="", sha256=""), page, rules)
