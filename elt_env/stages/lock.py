"""Lock: keep the lock that satisfies, or make a new one and say what changed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from elt_env.errors import IntegrityError, PolicyError
from elt_env.model.diff import Change, compare, count
from elt_env.model.lock import Bound, HeldBack, Lock, Package
from elt_env.model.names import normalize
from elt_env.model.satisfaction import requirement_lines, unsatisfied
from elt_env.model.target import Target
from elt_env.stages.negotiate import Agreement, agree
from elt_env.stages.question import Question, ask
from elt_env.stages.solve import CondaAnswer, solve
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox


@dataclass(frozen=True)
class Locked:
    """A target's current lock, and how it came to be.

    Attributes:
        lock: the lock.
        path: the directory of its files.
        kept: whether it was there already and still satisfies.
        changes: what differs from the target's lock before.
        reasons: why it was made anew.
    """

    lock: Lock
    path: Path
    kept: bool
    changes: tuple[Change, ...] = ()
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True)
class Solved:
    """A question, and conda's own answer to it."""

    question: Question
    answer: CondaAnswer


@dataclass(frozen=True)
class Resolution:
    """A question, and the lock that answers it; not written yet."""

    question: Question
    lock: Lock


def examine(
    target: Target, toolbox: Toolbox, say: Say, *, upgrade: tuple[str, ...] | None = ()
) -> Locked | Question:
    """Return the target's lock when it can be kept, else the question for a new one.

    Reads files only. `upgrade` names packages to upgrade; None means all of them.

    Raises:
        SpecError: the spec cannot be used.
        IntegrityError: the current lock was changed by hand; upgrading all of it replaces it.
        PolicyError: the policy does not list that Python, or a package to upgrade is not locked.
    """
    _require_listed(target, toolbox)
    spec = toolbox.project.spec(target.environment)
    try:
        lock = toolbox.store.current_lock(target)
    except IntegrityError as error:
        if upgrade is not None:
            raise
        say(f"WARNING: {error.problem}")
        return ask(target, spec, toolbox, reasons=("the current lock was damaged",))
    if lock is None:
        return ask(target, spec, toolbox, reasons=("there is no lock yet",))
    _require_locked(upgrade or (), lock)
    if upgrade == ():
        reasons = unsatisfied(lock, spec, toolbox.policy, toolbox.conda.matches)
        if not reasons:
            say(f"lock: kept {lock.digest} of {target}, it satisfies the spec and the policy")
            return Locked(lock, toolbox.store.lock_directory(lock.digest), kept=True)
    elif upgrade is None:
        reasons = ("all packages may be upgraded",)
    else:
        reasons = (f"to be upgraded: {', '.join(upgrade)}",)
    for reason in reasons:
        say(f"lock: a new one is needed: {reason}")
    return ask(target, spec, toolbox, upgrade=upgrade, previous=lock, reasons=reasons)


def _require_listed(target: Target, toolbox: Toolbox) -> None:
    if target.python not in toolbox.environment.pythons:
        listed = ", ".join(toolbox.environment.pythons)
        raise PolicyError(
            f"Python {target.python} is not listed for '{target.environment}' ({listed} is).",
            f"Use one of these, or add it to pythons in "
            f"[tool.elt-env.environments.{target.environment}].",
        )


def _require_locked(names: Iterable[str], lock: Lock) -> None:
    known = {each.name for each in lock.packages}
    for name in names:
        if normalize(name) not in known:
            raise PolicyError(
                f"'{name}' is not in the lock of {lock.target.name}.",
                f"See what is with: elt-env show {lock.target.name} --packages",
            )


def solve_unless_kept(
    target: Target, toolbox: Toolbox, say: Say, *, upgrade: tuple[str, ...] | None = ()
) -> Locked | Solved:
    """Return the target's lock when it can be kept, else conda's answer to the question for one.

    Raises: as `examine` and `solve`.
    """
    found = examine(target, toolbox, say, upgrade=upgrade)
    if isinstance(found, Locked):
        return found
    return Solved(found, solve(found, toolbox, say))


def resolve(found: Locked | Solved, toolbox: Toolbox, say: Say) -> Locked | Resolution:
    """Return pip's answer beside conda's, once both agree; a kept lock passes through.

    Raises: as `agree`, and when the index has no file with a hash for a distribution.
    """
    if isinstance(found, Locked):
        return found
    agreement = agree(found.question, found.answer, toolbox, say)
    return Resolution(found.question, assemble(found.question, agreement, toolbox, say))


def write(found: Locked | Resolution, toolbox: Toolbox, say: Say) -> Locked:
    """Write a new lock and make it the target's current one; a kept lock passes through.

    Raises:
        StorageError: the store cannot be written; the current lock stays what it was.
    """
    if isinstance(found, Locked):
        return found
    question, lock = found.question, found.lock
    path = toolbox.store.write_lock(lock)
    toolbox.store.set_current(question.target, lock.digest, toolbox.now())
    changes = compare(question.previous, lock)
    say(
        f"lock: {lock.digest} of {question.target}: {len(lock.conda)} conda and "
        f"{len(lock.pip)} pip packages; {count(changes)}"
    )
    return Locked(lock, path, kept=False, changes=changes, reasons=question.reasons)


def assemble(question: Question, agreement: Agreement, toolbox: Toolbox, say: Say) -> Lock:
    """Return the lock that an agreement makes; nothing is written."""
    conda = agreement.conda
    mine = tuple(each for each in agreement.pip if each.name not in conda.owned)
    files = toolbox.resolver.files(mine, agreement.request, say)
    return Lock(
        target=question.target,
        spec_digest=question.spec.digest,
        requirements=requirement_lines(question.spec),
        channels=conda.channels,
        channel_source=conda.source,
        indexes=tuple(sorted({each.index for each in mine})),
        exclude_newer=question.exclude_newer,
        locked_at=toolbox.now().replace(microsecond=0),
        tools=toolbox.versions,
        negotiated=_negotiated(question, agreement),
        held_back=_held_back(question, agreement),
        packages=(*_needed_by_pip(agreement), *files),
    )


def _negotiated(question: Question, agreement: Agreement) -> tuple[Bound, ...]:
    """Return the bounds that conda was given, and those of a lock before that still explain it.

    Where a package was kept at its version there was nothing to negotiate again.
    """
    answer = agreement.conda
    versions = {(each.name, each.version) for each in answer.packages}
    kept = {
        each.name
        for each in question.keep_conda(answer.source)
        if (each.name, each.version) in versions
    }
    known = {each.name for each in answer.bounds}
    needy = {f"{each.name} {each.version}" for each in agreement.pip}
    before = question.previous.negotiated if question.previous else ()
    still = [
        each
        for each in before
        if each.name in kept - known and not needy.isdisjoint(each.required_by)
    ]
    return tuple(sorted((*answer.bounds, *still), key=lambda each: each.name))


def _held_back(question: Question, agreement: Agreement) -> tuple[HeldBack, ...]:
    """Return what is held back now, and what a lock before held back and this one kept."""
    known = {each.name for each in agreement.held_back}
    kept = set(question.keep_pip) & {(each.name, each.version) for each in agreement.pip}
    before = question.previous.held_back if question.previous else ()
    still = [
        each for each in before if (each.name, each.version) in kept and each.name not in known
    ]
    return tuple(sorted((*agreement.held_back, *still), key=lambda each: each.name))


def _needed_by_pip(agreement: Agreement) -> tuple[Package, ...]:
    """Return conda's packages, those that pip's packages need marked with their names."""
    owned = agreement.conda.owned
    pip = {each.name for each in agreement.pip} - set(owned)
    packages = {each.name: each for each in agreement.conda.packages}
    for resolved in agreement.pip:
        if resolved.name in owned:
            package = packages[agreement.conda.owner(resolved.name).name]
            packages[package.name] = replace(
                package,
                requested=package.requested or resolved.requested,
                required_by=tuple(
                    sorted({*package.required_by, *(pip & set(resolved.required_by))})
                ),
            )
    return tuple(packages.values())


def lock(
    target: Target, toolbox: Toolbox, say: Say, *, upgrade: tuple[str, ...] | None = ()
) -> Locked:
    """Return the target's lock: kept while it satisfies, else solved, resolved and written.

    Raises:
        EltEnvError: as the steps say; the current lock stays what it was.
    """
    found = solve_unless_kept(target, toolbox, say, upgrade=upgrade)
    return write(resolve(found, toolbox, say), toolbox, say)
