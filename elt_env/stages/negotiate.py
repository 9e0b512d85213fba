"""Negotiate: conda and pip until both can live with the same versions.

Conda answers first and owns what it answers. Where pip finds no solution beside it, the smallest
set of conda-owned distributions that stand in pip's way is looked for, conda is given the bounds
that pip's packages put on them, and solves again. What a person pinned is never moved: it stays
a requirement of the conda solve, and a bound against it has no solution.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from elt_env.errors import (
    CondaUnsatisfiableError,
    DisagreementError,
    TimeLimitError,
    UnsatisfiableError,
)
from elt_env.model.conda_spec import from_pep440, to_pep440
from elt_env.model.lock import Bound, HeldBack
from elt_env.stages.constraints import within_constraints
from elt_env.stages.question import Question
from elt_env.stages.solve import CondaAnswer, solve_with
from elt_env.tools.pip import ResolveRequest
from elt_env.tools.pip.direct_wheels import DirectWheel
from elt_env.tools.pip.port import Resolved
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox
from elt_env.tools.wheel_metadata import read_wheel_metadata

_ROUNDS = 6
# Pip has an answer without conda: whatever it misses beside conda is a conflict with conda.
_CONFLICTS = (UnsatisfiableError, TimeLimitError)


@dataclass(frozen=True)
class Agreement:
    """What both sides can live with: conda's answer and pip's, made under it.

    Attributes:
        held_back: what a person asked of pip that is older than it would be without conda.
    """

    conda: CondaAnswer
    pip: tuple[Resolved, ...]
    request: ResolveRequest
    held_back: tuple[HeldBack, ...] = ()


def agree(question: Question, first: CondaAnswer, toolbox: Toolbox, say: Say) -> Agreement:
    """Return an answer of both halves, starting from conda's `first`.

    Conda yields, within what a person pinned, to what pip would choose of the requested tools
    if conda were not there; where it cannot, they are held back, and the answer says so.

    Raises:
        PipConflictError: pip has no solution even where conda is not in its way.
        DisagreementError: each side has solutions, but they have none in common.
    """
    first = within_constraints(question, first, toolbox, say)
    request = resolve_request(question, first, toolbox)
    say(f"pip: resolving {len(request.requirements)} requirements in one command")
    free = toolbox.resolver.resolve(replace(request, pins=(), fresh=True), say)
    wish = _wish(question, first, free, toolbox)
    try:
        agreement = _agree(question, first, wish, toolbox, say)
    except DisagreementError as error:
        say(f"negotiation: the newest versions are not possible: {error.problem}")
        agreement = _agree(question, first, (), toolbox, say)
    held_back = _held_back(free, agreement.pip)
    for each in held_back:
        say(f"WARNING: {each}")
    return replace(agreement, held_back=held_back)


def _wish(
    question: Question, first: CondaAnswer, free: tuple[Resolved, ...], toolbox: Toolbox
) -> tuple[str, ...]:
    """Return the least versions of the requested tools for which conda is to yield.

    They are what pip would choose beside nothing but what a person pinned for conda.
    """
    pinned = tuple(
        f"{distribution}{bound}"
        for spec in question.spec.conda
        for package in first.packages
        if package.name == spec.name and package.conda
        for distribution, _ in package.conda.distributions
        if (bound := to_pep440(spec.version))
    )
    best = free
    if pinned:
        request = resolve_request(question, first, toolbox)
        request = replace(request, pins=(), bounds=(*request.bounds, *pinned))
        try:
            best = toolbox.resolver.resolve(request, lambda _: None)
        except UnsatisfiableError:
            return ()
    mine = [each for each in best if each.requested and each.name not in first.owned]
    return tuple(f"{each.name}>={each.version}" for each in mine)


def _held_back(free: tuple[Resolved, ...], agreed: tuple[Resolved, ...]) -> tuple[HeldBack, ...]:
    possible = {each.name: each.version for each in free if each.requested}
    return tuple(
        HeldBack(each.name, each.version, possible[each.name])
        for each in agreed
        if each.name in possible and Version(each.version) < Version(possible[each.name])
    )


def _agree(
    question: Question, first: CondaAnswer, wish: tuple[str, ...], toolbox: Toolbox, say: Say
) -> Agreement:
    answer = first
    for _ in range(_ROUNDS):
        request = resolve_request(question, answer, toolbox)
        request = replace(request, bounds=(*request.bounds, *wish))
        say(f"pip: resolving beside the {len(request.pins)} distributions that conda owns")
        try:
            return Agreement(answer, toolbox.resolver.resolve(request, say), request)
        except _CONFLICTS as conflict:
            bounds = _Search(request, answer, question.directs, toolbox, say).bounds(conflict)
        for bound in bounds:
            say(
                f"negotiation: conda's {bound.name} {bound.refused} does not suit "
                f"{', '.join(bound.required_by)}; asking conda for {bound}"
            )
        answer = _solve_again(question, answer, bounds, toolbox, say)
    raise DisagreementError(
        f"conda and pip did not agree on {question.target} in {_ROUNDS} rounds. Bounds so far: "
        + ", ".join(str(each) for each in answer.bounds),
        "Pin one of these packages in the spec to a version that both sides can use.",
    )


def resolve_request(question: Question, answer: CondaAnswer, toolbox: Toolbox) -> ResolveRequest:
    """Return what pip is asked beside conda's answer."""
    return ResolveRequest(
        requirements=question.pip,
        python=answer.python,
        pins=tuple(sorted(answer.owned.items())),
        bounds=question.spec.constraints,
        keep=question.keep_pip,
        exclude_newer=question.exclude_newer,
        not_held=question.not_held,
        undated=question.undated,
        wheels_only=toolbox.policy.wheels_only,
        allow_sdist=toolbox.policy.allow_sdist,
        pre=question.options.pre,
        only_binary=question.options.only_binary,
        no_binary=question.options.no_binary,
        hashes=question.options.hashes,
    )


def _solve_again(
    question: Question,
    answer: CondaAnswer,
    bounds: tuple[Bound, ...],
    toolbox: Toolbox,
    say: Say,
) -> CondaAnswer:
    merged = _merge(answer.bounds, bounds)
    try:
        return solve_with(question, answer.source, merged, toolbox, say)
    except CondaUnsatisfiableError as error:
        sides = "\n".join(
            f"  pip:   {', '.join(each.required_by)} need {each}\n"
            f"  conda: {_conda_side(each, answer, question)}"
            for each in bounds
        )
        raise DisagreementError(
            f"conda and pip cannot agree on {', '.join(each.name for each in bounds)}:\n{sides}\n"
            f"{error.problem}",
            "Loosen one of the two sides in the spec.",
        ) from error


def _conda_side(bound: Bound, answer: CondaAnswer, question: Question) -> str:
    pinned = [str(each) for each in question.spec.conda if each.name == bound.name and each.version]
    if pinned:
        return f"the spec asks for {pinned[0]}"
    needs = [
        f"{package.name} {package.version} needs {dependency}"
        for package in answer.packages
        for dependency in (package.conda.depends if package.conda else ())
        if dependency.split()[0] == bound.name
    ]
    return "; ".join(needs) or f"has {bound.name} {bound.refused}"


def _merge(old: tuple[Bound, ...], new: tuple[Bound, ...]) -> tuple[Bound, ...]:
    merged = {each.name: each for each in old}
    for each in new:
        before = merged.get(each.name)
        if before is not None:
            joined = ",".join(sorted({*before.version.split(","), *each.version.split(",")}))
            names = tuple(sorted({*before.required_by, *each.required_by}))
            merged[each.name] = replace(each, version=joined, required_by=names)
        else:
            merged[each.name] = each
    return tuple(sorted(merged.values(), key=lambda each: each.name))


class _Search:
    """Looks for the conda-owned distributions that stand in pip's way."""

    def __init__(
        self,
        request: ResolveRequest,
        answer: CondaAnswer,
        directs: tuple[DirectWheel, ...],
        toolbox: Toolbox,
        say: Say,
    ) -> None:
        self._request = request
        self._answer = answer
        self._toolbox = toolbox
        self._say = say
        self._directs = directs

    def bounds(self, conflict: Exception) -> tuple[Bound, ...]:
        """Return the bounds on conda that make pip's requirements possible.

        Raises:
            PipConflictError: pip has no solution of its own.
            DisagreementError: no bound would change conda's answer.
        """
        free = self._toolbox.resolver.resolve(replace(self._request, pins=()), self._say)
        pins, answer = self._most_pins(free)
        culprits = [
            each
            for each in answer
            if each.name in self._answer.owned
            and (each.name, self._answer.owned[each.name]) not in pins
        ]
        bounds = tuple(
            bound for each in culprits if (bound := self._bound(each, answer)) is not None
        )
        if not bounds:
            names = ", ".join(f"{each.name} {self._answer.owned[each.name]}" for each in culprits)
            raise DisagreementError(
                f"pip finds no solution beside conda's {names or 'packages'}, and nothing says "
                f"which other versions it could use.\n{conflict}",
                "Pin these packages on the conda side of the spec to versions that pip can use.",
            )
        return bounds

    def _most_pins(
        self, free: tuple[Resolved, ...]
    ) -> tuple[tuple[tuple[str, str], ...], tuple[Resolved, ...]]:
        """Return as many of conda's pins as pip can live with, and pip's answer under them."""
        versions = {each.name: each.version for each in free}
        pins = self._request.pins
        harmless = tuple(
            pin
            for pin in pins
            if pin[0] not in versions or Version(pin[1]) == Version(versions[pin[0]])
        )
        answer = self._try(harmless)
        held, best = ((), free) if answer is None else (harmless, answer)
        for pin in sorted(set(pins) - set(held), key=self._importance):
            answer = self._try((*held, pin))
            if answer is not None:
                held, best = (*held, pin), answer
        return held, best

    def _importance(self, pin: tuple[str, str]) -> tuple[bool, str]:
        return (not self._answer.owner(pin[0]).requested, pin[0])

    def _try(self, pins: tuple[tuple[str, str], ...]) -> tuple[Resolved, ...] | None:
        request = replace(self._request, pins=tuple(sorted(pins)))
        try:
            return self._toolbox.resolver.resolve(request, lambda _: None)
        except _CONFLICTS:
            return None

    def _wheels(self, needy: tuple[Resolved, ...]) -> Iterator[tuple[Resolved, Path]]:
        """Yield the wheel of each; an sdist need not say what its wheel will ask for."""
        directs = {each.direct.name: each.path for each in self._directs}
        asked = tuple(each for each in needy if each.name not in directs)
        files = self._toolbox.resolver.files(asked, self._request, lambda _: None)
        by_name = {each.name: each for each in files if each.file_name.endswith(".whl")}
        for each in needy:
            file = by_name.get(each.name)
            if each.name in directs:
                yield each, directs[each.name]
            elif file is not None:
                yield each, self._toolbox.downloads.fetch(file.url, file.sha256)

    def _bound(self, culprit: Resolved, answer: tuple[Resolved, ...]) -> Bound | None:
        """Return the bound that pip's packages put on a distribution; None when they put none."""
        needy = tuple(
            each
            for each in answer
            if each.name in culprit.required_by and each.name not in self._answer.owned
        )
        bound = SpecifierSet()
        blamed = []
        current = self._answer.owned[culprit.name]
        for package, wheel in self._wheels(needy):
            theirs = read_wheel_metadata(wheel).bound_on(culprit.name, self._answer.python)
            bound &= theirs
            if not theirs.contains(current, prereleases=True):
                blamed.append(f"{package.name} {package.version}")
        for requirement in map(Requirement, self._request.requirements):
            if requirement.name == culprit.name:
                bound &= requirement.specifier
                if not requirement.specifier.contains(current, prereleases=True):
                    blamed.append(f"the spec's {requirement}")
        if bound.contains(current, prereleases=True):
            bound &= SpecifierSet(f"=={culprit.version}")
            blamed = blamed or [f"{each.name} {each.version}" for each in needy]
        if not blamed:
            return None
        return Bound(
            name=self._answer.owner(culprit.name).name,
            version=from_pep440(bound),
            refused=current,
            required_by=tuple(sorted(blamed)),
        )
