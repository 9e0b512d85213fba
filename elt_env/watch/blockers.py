"""Blockers: what stands between an environment and a Python, read from errors and evidence."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from elt_env.conda.explanation import culprit_chain
from elt_env.environment.declared import Declared
from elt_env.errors import (
    DisagreementError,
    Fact,
    NoWheelError,
    PackageNotFoundError,
    ToolError,
    UnsatisfiableError,
)
from elt_env.lock.chains import NeededPackage, chain_to
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.negotiate import resolve_request
from elt_env.lock.request import LockRequest
from elt_env.lock.solve import CondaAnswer, solve
from elt_env.lockfile.document import Lock
from elt_env.machine.process import unheard
from elt_env.pip import Resolver
from elt_env.pip.port import Resolved
from elt_env.project.policy import Policy
from elt_env.spec.conda_bounds import admits_minor, to_pep440
from elt_env.spec.conda_spec import CondaSpec
from elt_env.store.evidence import Evidence
from elt_env.watch.readiness import Blocker, Kind
from elt_env.watch.uv_explanation import blockers as read_explanation

_NOT_BUILT = re.compile(
    r"(?P<what>\S+) cannot be built from its sdist|Failed to (?:\w+ and )?build `(?P<other>[^`]+)`"
)
_NOT_IMPORTED = re.compile(r"(?P<module>\S+) of (?P<name>\S+) (?P<version>\S*): (?P<fault>.*)")
_IMPORTS = ("imports", "extra_imports")
_MINORS = [f"3.{number}" for number in range(40)]
_LINES = 12
_UPPER = ("<", "<=", "==", "~=")


def of_solve(
    question: LockRequest, error: UnsatisfiableError, tools: LockTools
) -> tuple[Blocker, ...]:
    """Return what keeps conda from an answer: each of its requirements is asked for alone.

    Raises:
        NetworkError: a channel does not answer any more.
    """
    found: list[Blocker] = []
    for each in question.spec.conda:
        try:
            solve(_asking(question, conda=(each,)), tools, unheard)
        except UnsatisfiableError as alone:
            found += _of_conda(alone, each)
    return _distinct(found) or _of_conda(error, CondaSpec("python"))


def of_resolve(
    question: LockRequest,
    answer: CondaAnswer,
    error: UnsatisfiableError,
    resolver: Resolver,
    policy: Policy,
) -> tuple[Blocker, ...]:
    """Return what keeps pip from an answer: each of its requirements is resolved alone.

    Raises:
        NetworkError: an index does not answer any more.
    """
    if isinstance(error, DisagreementError):
        sides = _of_facts(error, _freely(question, answer, resolver, policy))
        return sides or (Blocker("pin", ("conda and pip",), _head(error.problem)),)
    found: list[Blocker] = []
    for each in question.spec.pip:
        request = resolve_request(_asking(question, pip=(each,)), answer, policy)
        try:
            resolver.resolve(replace(request, pins=()), unheard)
        except UnsatisfiableError as alone:
            found += _of_pip(alone, (each,))
    free = _freely(question, answer, resolver, policy) if error.facts else ()
    return _distinct(found) or _of_facts(error, free) or _of_pip(error, question.spec.pip)


def of_build(error: ToolError) -> tuple[Blocker, ...]:
    """Return the sdist that cannot be built on this Python, where the failure is about one."""
    found = _NOT_BUILT.search(error.problem)
    if found is None:
        return ()
    sdist = (found["what"] or found["other"]).replace("==", " ")
    return (Blocker("missing wheel", (sdist,), _head(error.problem)),)


def _distinct(found: Iterable[Blocker]) -> tuple[Blocker, ...]:
    """Return the first of those blockers that differ in nothing but their text."""
    first: dict[tuple[Kind, tuple[str, ...]], Blocker] = {}
    for each in found:
        first.setdefault((each.kind, each.chain), each)
    return tuple(first.values())


def _freely(
    question: LockRequest, answer: CondaAnswer, resolver: Resolver, policy: Policy
) -> tuple[Resolved, ...]:
    """Return what pip would choose without conda's packages, to tell who needs what."""
    request = resolve_request(question, answer, policy)
    try:
        return resolver.resolve(replace(request, pins=()), unheard)
    except UnsatisfiableError:
        return ()


def _asking(
    question: LockRequest, *, conda: tuple[CondaSpec, ...] = (), pip: tuple[str, ...] = ()
) -> LockRequest:
    return replace(question, spec=replace(question.spec, conda=conda, pip=pip))


def _of_conda(error: UnsatisfiableError, asked: CondaSpec) -> tuple[Blocker, ...]:
    cause = error.__cause__
    if isinstance(cause, UnsatisfiableError):  # the host channel's packages are wheels
        return _of_pip(cause, (f"{asked.name}{to_pep440(asked.version) or ''}",))
    if isinstance(error, PackageNotFoundError):
        return (Blocker("missing conda build", (str(asked),), _head(error.problem)),)
    chain = culprit_chain(error.explanation) or (str(asked),)
    return (Blocker(_kind(chain[-1], error.explanation), chain, _head(error.problem)),)


def _kind(culprit: str, explanation: str) -> Kind:
    """Tell what the end of a chain means; built for one Python minor is not built for another."""
    name, _, bound = culprit.partition(" ")
    if name == "python_abi" or f"found for {name}" in explanation:
        return "missing conda build"
    if name == "python":
        admitted = [minor for minor in _MINORS if admits_minor(bound, minor)]
        return "missing conda build" if len(admitted) <= 1 else "declared bound"
    return "missing conda build" if "for which no candidates" in explanation else "pin"


def _of_pip(error: UnsatisfiableError, asked: tuple[str, ...]) -> tuple[Blocker, ...]:
    text = _head(error.problem)
    found = read_explanation(error.explanation, asked)
    if found:
        return tuple(replace(each, text=f"{each.text}\n{text}") for each in found)
    wheel = isinstance(error, (NoWheelError, PackageNotFoundError))
    names = tuple(str(Requirement(each)) for each in asked)
    return (Blocker("missing wheel" if wheel else "pin", names[:1], text),)


def _of_facts(error: UnsatisfiableError, free: tuple[Resolved, ...]) -> tuple[Blocker, ...]:
    """Return what pip's packages ask of one that others want otherwise, by an explanation."""
    text = _head(error.problem)
    bounds: dict[str, set[str]] = {}
    for fact in error.facts:
        bounds.setdefault(fact.need, set()).add(fact.bound)
    sides = tuple(
        Blocker("declared bound" if fact.need == "python" else "pin", _side(fact, free), text)
        for fact in error.facts
        if fact.owner != "conda" and (len(bounds[fact.need]) > 1 or fact.need == "python")
    )
    return _distinct(sides)


def _side(fact: Fact, free: tuple[Resolved, ...]) -> tuple[str, ...]:
    """Return the chain to what a fact is about."""
    if fact.owner == "spec":
        return (fact.name,)
    return (*chain_to(fact.name, free), f"{fact.need} {fact.bound}".rstrip())


def _head(text: str) -> str:
    return "\n".join(text.splitlines()[:_LINES])


def of_declared(
    declared: Iterable[tuple[str, str, SpecifierSet]],
    packages: Iterable[NeededPackage],
    python: str,
) -> tuple[Blocker, ...]:
    """Return the distributions whose Requires-Python excludes a full Python version.

    pip refuses them (core metadata specification, Requires-Python); uv leaves upper bounds aside
    (https://docs.astral.sh/uv/reference/internals/resolver/).

    Args:
        declared: name, version and Requires-Python of each distribution.
        packages: all that are locked, to tell who needs them.
        python: as in `3.13.1`.
    """
    known = tuple(packages)
    return _distinct(
        Blocker(
            "declared bound",
            (*chain_to(name, known), f"python {bound}"),
            f"{name} {version} declares that it is for Python {bound} only: pip refuses to "
            f"install it on {python}.",
        )
        for name, version, bound in declared
        if not bound.contains(python, prereleases=True)
    )


def of_evidence(
    evidence: Iterable[Evidence], lock: Lock, declared: tuple[Declared, ...]
) -> tuple[Blocker, ...]:
    """Return what the failed checks show: modules that do not import first, then the rest."""
    failed = [each for each in evidence if each.failed]
    faults = [
        blocker
        for each in failed
        if each.check in _IMPORTS
        for blocker in _of_imports(each, lock, declared)
    ]
    others = [
        Blocker("check failed", (each.check,), each.detail)
        for each in failed
        if each.check not in _IMPORTS
    ]
    return (*_distinct(faults), *others)


def _of_imports(
    evidence: Evidence, lock: Lock, declared: tuple[Declared, ...]
) -> tuple[Blocker, ...]:
    """Return one blocker for each distribution with modules that do not import."""
    faults: dict[str, list[str]] = {}
    for each in map(_NOT_IMPORTED.fullmatch, evidence.detail.splitlines()):
        if each is not None:
            whose = f"{each['name']} {each['version']}"
            text = f"{each['module']} of {whose} does not import: {each['fault']}"
            faults.setdefault(each["name"], []).append(text)
    found = tuple(
        Blocker("import failure", _pinned_chain(name, lock, declared), "\n".join(texts))
        for name, texts in faults.items()
    )
    return found or (Blocker("import failure", (evidence.check,), evidence.detail),)


def _pinned_chain(name: str, lock: Lock, declared: tuple[Declared, ...]) -> tuple[str, ...]:
    """Return the chain to a distribution, through what puts the tightest upper bound on it.

    Its last part is then that bound, as in `mashumaro <3.15`: a newer one might do, and cannot be
    had. Without a bound it is the distribution itself.
    """
    pins = [
        (Version(one.version.removesuffix(".*")), each.name, str(one))
        for each in declared
        for one in each.bound_on(name, lock.python.version)
        if one.operator in _UPPER
    ]
    if not pins:
        return chain_to(name, lock.packages)
    _, needy, bound = min(pins)
    return (*chain_to(needy, lock.packages), f"{name} {bound}")
