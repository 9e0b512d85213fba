"""Readiness: can the environment be locked, installed and proven on a Python, in the policy or not?

Nothing that is in use changes: no pointer moves, and what is built is a prefix like any other.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_version
from packaging.version import Version

from elt_env.environment.declared import read_declared
from elt_env.environment.prefix import Prefix
from elt_env.errors import (
    BusyError,
    IntegrityError,
    NetworkError,
    NoWheelError,
    ProofError,
    TimeLimitError,
    ToolError,
    UnsatisfiableError,
)
from elt_env.lock.assemble import assemble
from elt_env.lock.directs import prepare
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.negotiate import agree, resolve_request
from elt_env.lock.request import LockRequest, ask
from elt_env.lock.solve import CondaAnswer, solve
from elt_env.lockfile.document import Lock, machine_python
from elt_env.machine.platform import target_here
from elt_env.machine.process import Say
from elt_env.package.platform import this_platform
from elt_env.package.target import Target
from elt_env.pip.port import Resolved
from elt_env.pipeline import Pipeline
from elt_env.proof.checks.registry import build_checks, is_blocking
from elt_env.python.interpreters import list_interpreters
from elt_env.spec.conda_bounds import admits_minor
from elt_env.spec.markers import python_bound
from elt_env.store.evidence import Evidence
from elt_env.tools import Tools
from elt_env.watch import blockers
from elt_env.watch.readiness import Blocker, Look, Readiness, in_order, judge
from elt_env.watch.store import ReadinessStore

if TYPE_CHECKING:
    from elt_env.index.package_index import PackageIndex

_UNCLEAR = (NetworkError, BusyError, IntegrityError, ToolError)
"""What says nothing about a Python: another look may end otherwise."""

_COULD_NOT_RUN = "could not run"


def examine_python(environment: str, python: str, tools: Tools, say: Say) -> Readiness:
    """Return whether the environment can be had on that Python minor; it is recorded.

    A look that comes to no verdict, as without a network, leaves an earlier verdict as it was.

    Raises:
        SpecError: the spec cannot be used.
        IntegrityError: the record of an earlier look cannot be read.
        StorageError: the store cannot be written.
    """
    target = target_here(environment, python)
    records = ReadinessStore(tools.store.documents)
    before = records.read(environment, python)
    say(f"readiness: looking at {target.name}")
    try:
        look = _look(target, tools, say)
    except _UNCLEAR as error:
        look = Look(doubt=error.problem)
    known = judge(before, environment, python, look, tools.store.now().replace(microsecond=0))
    records.write(known)
    _tell(known, say)
    return known


def _tell(known: Readiness, say: Say) -> None:
    say(f"readiness: {known.name}: {known.verdict} since {known.since:%Y-%m-%d}")
    for each in known.blocked_by:
        say(f"readiness: {known.name}: {each}")
    if known.doubt:
        say(
            f"readiness: {known.name}: the last look was incomplete: {known.doubt}", logging.WARNING
        )


def pythons_to_examine(environment: str, tools: LockTools, say: Say) -> tuple[str, ...]:
    """Return the minors worth a look, oldest first: listed, recorded, and the newest on offer.

    On offer is what the spec's channels have, and what this machine has where the policy lets the
    host channel stand in for them.
    """
    found = {*tools.project.environment(environment).pythons}
    found |= {*ReadinessStore(tools.store.documents).pythons(environment)}
    if tools.project.policy.channel_fallback == "host":
        found |= {each.minor for each in list_interpreters()[0][:1]}
    try:
        found |= _newest_of_channels(environment, tools)
    except NetworkError as error:
        say(f"readiness: the newest Python is not known: {error.problem}", logging.WARNING)
    return in_order(found)


def _newest_of_channels(environment: str, tools: LockTools) -> set[str]:
    channels = tools.channels.of(tools.project.spec(environment))
    releases = tools.conda.releases(channels, ("python",), this_platform())["python"]
    final = [one for each in releases if not (one := Version(each.version)).is_prerelease]
    newest = max(final, default=None)
    return {f"{newest.major}.{newest.minor}"} if newest else set()


def _look(target: Target, tools: Tools, say: Say) -> Look:
    spec = tools.project.spec(target.environment)
    if not admits_minor(spec.python, target.python):
        bound = f"python {spec.python}"
        text = f"{spec.source} asks for {bound}."
        return Look(blocked_by=(Blocker("pin", (bound,), text),))
    listed = target.python in tools.environment.pythons
    lock = tools.store.current_lock(target) if listed else None
    if lock is not None:
        return _prove(lock, tools, say, known=tools.store.evidence(lock.digest))
    found = _lock(ask(target, spec, tools.policy, tools.store.now), tools, say)
    return found if isinstance(found, Look) else _prove(found, tools, say)


def _lock(question: LockRequest, tools: LockTools, say: Say) -> Lock | Look:
    """Return a lock that nobody's pointer names, or what keeps it from being made."""
    try:
        question = prepare(question, tools.project, tools.files, say)
    except NoWheelError as error:
        name = error.problem.split(maxsplit=1)[0]
        return Look(blocked_by=(Blocker("missing wheel", (name,), error.problem),))
    try:
        answer = solve(question, tools, say)
    except UnsatisfiableError as error:
        return Look(blocked_by=blockers.of_solve(question, error, tools))
    except ToolError as error:
        if isinstance(error, TimeLimitError) or _is_here(question.target.python):
            raise
        return _without_interpreter(question, error, tools, say)
    try:
        agreement = agree(question, answer, tools, say)
        lock = assemble(question, agreement, tools, say)
    except UnsatisfiableError as error:
        return Look(
            blocked_by=blockers.of_resolve(
                question, answer, error, tools.resolver, tools.project.policy
            ),
            python_version=answer.python,
        )
    except ToolError as error:
        return Look(blocked_by=_unbuilt(error), python_version=answer.python)
    tools.store.write_lock(lock)
    say(f"readiness: {question.target.name} can be locked: {lock.digest}")
    return lock


def _unbuilt(error: ToolError) -> tuple[Blocker, ...]:
    """Return what an sdist that cannot be built means; any other failure is raised again."""
    found = blockers.of_build(error)
    if not found:
        raise error
    return found


def _is_here(python: str) -> bool:
    return any(each.minor == python for each in list_interpreters()[0])


def _without_interpreter(
    question: LockRequest, error: ToolError, tools: LockTools, say: Say
) -> Look:
    """Return what can be said of a Python that cannot be had here: about pip's half alone."""
    python = f"{question.target.python}.0"
    reason = error.headline
    missing = Blocker("interpreter missing", (f"python {question.target.python}",), reason)
    say(f"readiness: {error.problem}", logging.WARNING)
    say(f"readiness: asking pip's half alone about Python {python}")
    answer = CondaAnswer((), "host", (machine_python(python),))
    request = replace(resolve_request(question, answer, tools.project.policy), fresh=True)
    try:
        resolved = tools.resolver.resolve(request, say)
    except UnsatisfiableError as conflict:
        found = blockers.of_resolve(
            question, answer, conflict, tools.resolver, tools.project.policy
        )
    else:
        found = blockers.of_declared(
            _declared_on_index(resolved, tools.package_index), resolved, python
        )
    return Look(blocked_by=(*found, missing), doubt="" if found else missing.text)


def _declared_on_index(
    resolved: tuple[Resolved, ...], package_index: PackageIndex
) -> list[tuple[str, str, SpecifierSet]]:
    """Return name, version and Requires-Python of an answer's distributions, from their pages."""
    asked = {each.name: each.index for each in resolved if each.index}
    pages = package_index.look(asked).pages
    return [
        (each.name, each.version, python_bound(file.requires_python))
        for each in resolved
        if each.name in pages
        for file in pages[each.name].files
        if file.is_wheel
        and canonicalize_version(file.version) == canonicalize_version(each.version)
    ]


def _prove(lock: Lock, tools: Tools, say: Say, *, known: tuple[Evidence, ...] = ()) -> Look:
    """Return what comes of building a lock and checking it; `known` is evidence that may do."""
    look = Look("locked", lock=lock.digest, python_version=lock.python.version)
    policy = tools.environment
    names = tuple(each for each in build_checks(policy) if is_blocking(each, policy))
    known = tuple(each for each in known if each.check in names and not each.doubt)
    due = names if len(known) < len(names) else ()
    try:
        found = Pipeline(target=lock.target, tools=tools, say=say).prove(lock, due)
    except ProofError as error:
        unfit = Blocker("check failed", ("pip_check",), error.problem)
        return replace(look, blocked_by=(unfit,))
    except ToolError as error:
        return replace(look, blocked_by=_unbuilt(error))
    prefix = Prefix(tools.store.prefix_path(lock), lock)
    return after_checks(look, prefix, found or known)


def after_checks(look: Look, prefix: Prefix, evidence: tuple[Evidence, ...]) -> Look:
    """Return a look that came as far as the checks, with what they and the metadata say.

    What is installed and passes every check is not ready all the same where a distribution
    declares that it is for other Pythons: another installer would refuse it.
    """
    lock = prefix.lock
    declared = read_declared(prefix)
    failed = blockers.of_evidence(evidence, lock, declared)
    open_ends = [each for each in evidence if each.detail.startswith(_COULD_NOT_RUN)]
    bounds = blockers.of_declared(
        [(each.name, each.version, each.requires_python) for each in declared],
        lock.packages,
        lock.python.version,
    )
    proven = not failed and not open_ends
    if proven:
        note = "All checks passed in spite of it."
        bounds = tuple(replace(each, text=f"{each.text} {note}") for each in bounds)
    return replace(
        look,
        reached="proven" if proven else "installed",
        blocked_by=(*bounds, *failed),
        doubt="; ".join(f"{each.check} {each.detail}" for each in open_ends),
    )
