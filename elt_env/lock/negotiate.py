"""Negotiate: the versions that both halves can live with, the best there are.

One resolve chooses the versions of both halves (see `joint_shelf`). What only conda can tell, that
it cannot have a set of builds together, and what the metadata do not tell the resolver, are learned
and respected by the next resolve. Each time more is excluded, and nothing that could be part of an
answer, so that it ends with an answer or with the proof that there is none. Then it is asked for a
better one by the rule of `best_answer`, until there is none.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from elt_env.conda import ChannelReader
from elt_env.errors import TimeLimitError, UnsatisfiableError
from elt_env.index.project_page import ProjectPage
from elt_env.lock.best_answer import BestSearch, Clause
from elt_env.lock.conflict import explained
from elt_env.lock.contenders import contenders
from elt_env.lock.joint import JointProblem, common_request
from elt_env.lock.joint_choice import Choice, closure
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.reasons import Reasons
from elt_env.lock.request import LockRequest, pre_release_bounds
from elt_env.lock.settle import allowed, settled, solve_within
from elt_env.lock.solve import CondaAnswer, as_requirement, solve_request, stock_host_channel
from elt_env.lockfile.document import Bound, HeldBack
from elt_env.machine.process import Say, unheard
from elt_env.package.names import normalize
from elt_env.pip import ResolveRequest
from elt_env.pip.port import Resolved
from elt_env.project.policy import Policy
from elt_env.python.wheel_metadata import read_wheel_metadata
from elt_env.spec.conda_bounds import from_pep440
from elt_env.spec.markers import bound_on

_MOST_ANSWERS = 24  # after which the best of them is only raised
_PATIENCE = 120.0  # seconds that the search for one better answer may take


@dataclass(frozen=True)
class Agreement:
    """What both sides can live with: conda's answer and pip's, made under it.

    Attributes:
        held_back: what a person asked for that is older than its newest version.
        pages: those of the index that were read, by distribution.
    """

    conda: CondaAnswer
    pip: tuple[Resolved, ...]
    request: ResolveRequest
    held_back: tuple[HeldBack, ...] = ()
    pages: Mapping[str, ProjectPage] = field(default_factory=dict)


def agree(question: LockRequest, first: CondaAnswer, tools: LockTools, say: Say) -> Agreement:
    """Return the best answer of both halves, where `first` is conda's own.

    Raises:
        PipConflictError: pip has no solution even where conda is not in its way.
        DisagreementError: each side has solutions, but they have none in common.
    """
    failure: UnsatisfiableError | None = None
    problems: list[JointProblem] = []
    for python in _pythons(question, first, tools.conda):
        problem = joint_problem(question, first, tools, say, python)
        problems.append(problem)
        try:
            return _Negotiation(problem, first, say).agreement()
        except UnsatisfiableError as error:
            failure = failure or error
    if failure is None:
        raise AssertionError
    raise explained(problems, failure, say) from failure


def joint_problem(
    question: LockRequest, first: CondaAnswer, tools: LockTools, say: Say, python: str | None = None
) -> JointProblem:
    """Return what is asked of both halves, under the Python of conda's own answer or another."""
    asked = solve_request(question, first.channels, first.source, tools.channels.priority)
    offered = tools.conda.offered(asked) if first.source == "remote" else None
    problem = JointProblem(question, python or first.python, tools, say, offered, asked)
    problem.pages.expect(question.previous)
    return problem


def resolve_request(question: LockRequest, answer: CondaAnswer, policy: Policy) -> ResolveRequest:
    """Return what pip alone is asked beside conda's answer."""
    return replace(
        common_request(question, answer.python, policy),
        requirements=question.pip,
        pins=tuple(sorted(answer.owned.items())),
        bounds=(*question.spec.constraints, *pre_release_bounds(policy)),
        keep=question.keep_pip,
        allow_sdist=policy.allow_sdist,
    )


def _pythons(question: LockRequest, first: CondaAnswer, conda: ChannelReader) -> tuple[str, ...]:
    """Return the full versions of the target's Python that conda has, its own choice first."""
    if first.source == "host":
        return (first.python,)
    found = conda.releases(first.channels, ("python",), question.target.platform)["python"]
    minor = f"{question.target.python}."
    others = [each.version for each in found if f"{each.version}.".startswith(minor)]
    return tuple(dict.fromkeys([first.python, *others]))


class _Negotiation:
    def __init__(self, problem: JointProblem, first: CondaAnswer, say: Say) -> None:
        self._problem = problem
        self._first = first
        self._say = say
        self._question = problem.question
        self._tools = problem.tools

    def agreement(self) -> Agreement:
        """Return the best answer that holds for conda as well."""
        while True:
            choice = self._best()
            conda = self._settled(choice)
            if conda is not None:
                break
        held_back = self._held_back(choice)
        bounds = self._bounds(choice, conda)
        for each in bounds:
            self._say(
                f"negotiation: conda's {each.name} {each.refused} does not suit "
                f"{', '.join(each.required_by)}; conda gets {each}"
            )
        for held in held_back:
            self._say(str(held), logging.WARNING)
        request = replace(
            self._problem.request(),
            requirements=self._question.pip,
            pins=tuple(sorted(conda.owned.items())),
            allow_sdist=choice.sdists,
        )
        pages = self._problem.pages.known
        return Agreement(replace(conda, bounds=bounds), choice.resolved, request, held_back, pages)

    def _best(self) -> Choice:
        """Return the best choice by the rule, as far as the resolver can tell."""
        choice = self._allowed(())
        ladders, places = contenders(self._problem, choice)
        search = BestSearch(ladders, tuple(map(normalize, self._tools.project.policy.prefer)))
        choices = [choice]
        search.found.append(places)
        clauses = search.better()
        while clauses:
            try:
                choices.append(self._allowed(clauses, _PATIENCE))
            except UnsatisfiableError:
                break
            except TimeLimitError:
                self._say(
                    "pip: the search for newer versions took too long and was ended",
                    logging.WARNING,
                )
                break
            search.found.append(contenders(self._problem, choices[-1])[1])
            few = len(search.found) < _MOST_ANSWERS
            clauses = search.better() if few else search.above_best()
        return choices[search.found.index(search.best)]

    def _allowed(self, clauses: tuple[Clause, ...], limit: float | None = None) -> Choice:
        return allowed(self._problem, self._say, clauses, limit)

    def _settled(self, choice: Choice) -> CondaAnswer | None:
        if self._problem.half is None:
            return self._settled_on_host(choice)
        return settled(self._problem, choice, self._say)

    def _settled_on_host(self, choice: Choice) -> CondaAnswer:
        """Return conda's answer from the host channel, with the versions of a choice."""
        names = closure(
            choice.resolved,
            {Requirement(as_requirement(each)).name for each in self._question.spec.conda},
        )
        chosen = tuple(each for each in choice.resolved if each.name in names)
        same = all(self._first.owned.get(each.name) == each.version for each in chosen)
        if same and set(self._first.owned) <= names:
            return self._first
        request = replace(self._problem.request(), allow_sdist=choice.sdists)
        pages = self._problem.pages.known
        limits = stock_host_channel(self._question, chosen, request, self._tools, self._say, pages)
        packages = solve_within(self._problem, limits, self._say)
        return CondaAnswer(self._first.channels, "host", packages)

    def _held_back(self, choice: Choice) -> tuple[HeldBack, ...]:
        ladders, places = contenders(self._problem, choice)
        reasons = Reasons(self._problem, choice)
        return tuple(
            HeldBack(
                each.name,
                self._version(choice, each.name),
                each.steps[0].version,
                reasons.reason(each.name, each.steps[0].version),
                reasons.wheelless(each.name, each.steps[0].version),
            )
            for each in ladders
            if places[each.name]
        )

    def _version(self, choice: Choice, name: str) -> str:
        half = self._problem.half
        if half is not None and name in choice.builds:
            return half.build(name, choice.builds[name]).version
        return choice.version(name) or ""

    def _bounds(self, choice: Choice, conda: CondaAnswer) -> tuple[Bound, ...]:
        """Return where conda has another version than alone, and who of pip's half needs it."""
        before, now = self._newest_owned() | self._first.owned, conda.owned
        moved = [each for each in choice.resolved if each.name in before and each.name in now]
        moved = [each for each in moved if before[each.name] != now[each.name]]
        found = (self._bound(each, before[each.name], choice, conda) for each in moved)
        return tuple(sorted((each for each in found if each), key=lambda each: each.name))

    def _asked_by_spec(self, name: str) -> list[tuple[str, SpecifierSet]]:
        spec = self._question.spec
        lines = [(f"the spec's {each}", each) for each in spec.pip]
        lines += [(f"the spec's constraint {each}", each) for each in spec.constraints]
        found = ((who, Requirement(each)) for who, each in lines)
        return [(who, each.specifier) for who, each in found if each.name == name]

    def _needs(
        self, needy: tuple[Resolved, ...], request: ResolveRequest
    ) -> Iterator[tuple[str, Sequence[Requirement]]]:
        """Yield who needs what; an sdist need not say what its wheel will ask for."""
        wheels = {each.direct.name: each.path for each in self._question.directs}
        indexed = [each for each in needy if each.name not in wheels]
        pages = self._problem.pages
        known = pages.needs((each.name, each.version) for each in indexed)
        rest = tuple(each for each in indexed if (each.name, each.version) not in known)
        for file in self._tools.resolver.files(rest, request, unheard):
            if file.file_name.endswith(".whl"):
                wheels[file.name] = self._tools.files.downloads.fetch(file.url, file.sha256)
        for each in needy:
            needs = known.get((each.name, each.version))
            if needs is None and each.name in wheels:
                needs = read_wheel_metadata(wheels[each.name]).requires
            if needs is not None:
                yield f"{each.name} {each.version}", needs

    def _newest_owned(self) -> dict[str, str]:
        """Return the newest version of each distribution that conda could bring."""
        stubs: dict[str, list[str]] = {}
        for each in self._problem.shown.all_stubs:
            stubs.setdefault(each.name, []).append(each.version)
        return {name: max(versions, key=Version) for name, versions in stubs.items()}

    def _bound(
        self, moved: Resolved, before: str, choice: Choice, conda: CondaAnswer
    ) -> Bound | None:
        """Return the bound that pip's packages put on a distribution; None when they put none."""
        needy = tuple(
            each
            for each in choice.resolved
            if each.name in moved.required_by and each.name not in conda.owned
        )
        bound = SpecifierSet()
        blamed = []
        request = replace(self._problem.request(), allow_sdist=choice.sdists)
        bounds = [
            (who, bound_on(moved.name, needs, conda.python))
            for who, needs in self._needs(needy, request)
        ]
        for who, theirs in [*bounds, *self._asked_by_spec(moved.name)]:
            bound &= theirs
            if not theirs.contains(before, prereleases=True):
                blamed.append(who)
        if bound.contains(before, prereleases=True):
            if self._first.owned.get(moved.name) != before:
                return None
            bound &= SpecifierSet(f"=={moved.version}")
            blamed = blamed or [f"{each.name} {each.version}" for each in needy]
        if not blamed:
            return None
        owner = conda.owner(moved.name)
        refused = next((p.version for p in self._first.packages if p.name == owner.name), before)
        return Bound(
            name=owner.name,
            version=from_pep440(bound),
            refused=refused,
            required_by=tuple(sorted(blamed)),
        )
