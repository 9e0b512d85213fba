"""Lock: keep the lock that satisfies, or make a new one and say what changed."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import partial

from elt_env.errors import InputError, IntegrityError, PolicyError, SpecError
from elt_env.lock.assemble import assemble
from elt_env.lock.both_sides import refuse_both_sides
from elt_env.lock.conflict import solved
from elt_env.lock.diff_report import DiffReport
from elt_env.lock.directs import prepare
from elt_env.lock.explain_diff import explain_relock
from elt_env.lock.lock_tools import LockTools
from elt_env.lock.made_from import MadeFrom
from elt_env.lock.negotiate import agree
from elt_env.lock.places import changed_places
from elt_env.lock.plugin_locks import forget_plugin_lock, plugin_locks
from elt_env.lock.request import LockRequest, ask
from elt_env.lock.satisfaction import unsatisfied
from elt_env.lock.solve import CondaAnswer, remote_channels
from elt_env.lockfile.changes import Change, compare, count
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.names import normalize
from elt_env.package.target import Target
from elt_env.project.platforms import platforms_of
from elt_env.project.project import Project
from elt_env.runtime.credentials import carries_credentials, channel_host
from elt_env.spec.document import Spec
from elt_env.store.locks import Store


@dataclass(frozen=True)
class Locked:
    """A target's current lock, and how it came to be.

    Attributes:
        lock: the lock.
        path: the directory of its files, or its URL.
        kept: whether it was there already and still satisfies.
        changes: what differs from the target's lock before.
        reasons: why it was kept, or made anew.
        report: what differs, explained, and what is held back; None where nobody was asked.
    """

    lock: Lock
    path: str
    kept: bool
    changes: tuple[Change, ...] = ()
    reasons: tuple[str, ...] = ()
    report: DiffReport | None = None


@dataclass(frozen=True)
class Solved:
    """A question, and conda's own answer to it."""

    question: LockRequest
    answer: CondaAnswer


@dataclass(frozen=True)
class _SolvedHere(Solved):
    """The same in the process that resolves it too, so that all is known that it is made from."""

    made: MadeFrom


@dataclass(frozen=True)
class Resolution:
    """A question, and the lock that answers it; not written yet."""

    question: LockRequest
    lock: Lock


def examine(
    target: Target,
    tools: LockTools,
    say: Say,
    *,
    upgrade: tuple[str, ...] | None = (),
    accepted: tuple[str, ...] = (),
) -> Locked | LockRequest:
    """Return the target's lock when it can be kept, else the question for a new one.

    Reads files only. `upgrade` names packages to upgrade; None means all of them. `accepted` are
    those that may come from another index or channel than before.

    Raises:
        SpecError: the spec cannot be used.
        IntegrityError: the current lock was changed by hand; upgrading all of it replaces it.
        PolicyError: the policy does not list that Python, or a package to upgrade is not locked.
    """
    require_listed(target, tools.project)
    spec = tools.project.spec(target.environment)
    for each in spec.warnings:
        say(f"{each.place}: {each.problem} {each.remedy}")
    ask_anew = partial(ask, target, spec, tools.project.policy, tools.store.now, accepted=accepted)
    try:
        lock = tools.store.current_lock(target)
    except IntegrityError as error:
        if upgrade is not None:
            raise
        say(error.problem, logging.WARNING)
        return ask_anew(reasons=("the current lock was damaged",))
    if lock is None:
        return ask_anew(reasons=("there is no lock yet",))
    _require_locked(upgrade or (), lock)
    moved = changed_places(lock, spec, tools.project.policy)
    reasons = _reasons(lock, spec, tools, upgrade, moved)
    if not reasons:
        return _keep(lock, "it satisfies the spec and the policy", tools, say)
    for reason in reasons:
        say(f"lock: a new one is needed: {reason}")
    if moved:
        say("lock: packages come from other places now, so all of them may change")
        upgrade = None
    return ask_anew(upgrade=upgrade, previous=lock, reasons=reasons)


def _reasons(
    lock: Lock,
    spec: Spec,
    tools: LockTools,
    upgrade: tuple[str, ...] | None,
    moved: tuple[str, ...],
) -> tuple[str, ...]:
    """Return why a lock cannot be kept; nothing where it can."""
    if upgrade is None:
        return ("all packages may be upgraded",)
    if upgrade:
        return (f"to be upgraded: {', '.join(upgrade)}", *moved)
    return unsatisfied(lock, spec, tools.project.policy, tools.conda.matches)


def _keep(lock: Lock, reason: str, tools: LockTools, say: Say) -> Locked:
    say(f"lock: kept {lock.digest} of {lock.target}, {reason}")
    _tell_other_places(lock, tools, say)
    path = tools.store.lock_directory(lock.digest)
    return Locked(lock, path, kept=True, reasons=(reason,))


def _same(lock: Lock, reason: str, tools: LockTools, say: Say) -> Locked:
    """Return the lock that came out once more, with what is held back by now."""
    kept = _keep(lock, reason, tools, say)
    return replace(kept, report=explain_relock(lock, lock, tools, say))


def _tell_other_places(lock: Lock, tools: LockTools, say: Say) -> None:
    """Say where this machine's settings name other places than those that were locked from."""
    spec = tools.project.spec(lock.target.environment)
    try:
        channels = remote_channels(spec, tools.channels, tools.conda)
    except SpecError:  # one that only another machine has
        channels = lock.channels
    known = [(lock.channels, channels)] if lock.channel_source == "remote" else []
    default = tools.files.indexes.default
    if default is not None and not (
        tools.project.policy.index or spec.pip_options.index_url or tools.files.indexes.extra
    ):
        known.append((lock.indexes, (default.url,)))
    for before, now in known:
        if before and before != now:
            say(
                f"lock: it was made from {', '.join(before)}; the settings of this machine name "
                f"{', '.join(now)}, which elt-env relock {lock.target.name} would take"
            )


def require_listed(target: Target, project: Project) -> None:
    """Return when the policy lists the Python and the platform of a target.

    Raises:
        PolicyError: it does not, or Python is this machine's and the platform is another.
    """
    _require_platform(target, project)
    if target.python not in project.environment(target.environment).pythons:
        listed = ", ".join(project.environment(target.environment).pythons)
        remedy = (
            f"Use one of these, or add it to pythons in "
            f"[tool.elt-env.environments.{target.environment}]."
        )
        if target.environment not in project.policy.environments:
            spec = project.environment(target.environment).spec
            remedy = f"Build it for that one too: elt-env build {spec} --python {target.python}"
        raise PolicyError(
            f"Python {target.python} is not listed for '{target.environment}', which has {listed}.",
            remedy,
        )


def _require_platform(target: Target, project: Project) -> None:
    listed = platforms_of(project.environment(target.environment))
    if target.platform not in listed:
        wanted = ", ".join(f'"{each}"' for each in (*listed, target.platform))
        raise PolicyError(
            f"{target.platform} is not listed for '{target.environment}', which is locked for "
            f"{', '.join(listed)}.",
            f"Add it: platforms = [{wanted}] in [tool.elt-env.environments.{target.environment}].",
        )


def _require_locked(names: Iterable[str], lock: Lock) -> None:
    known = {each.name for each in lock.packages}
    for name in names:
        if normalize(name) not in known:
            raise PolicyError(
                f"'{name}' is not in the lock of {lock.target.name}.",
                f"See what is with: elt-env show {lock.target.name} --packages",
            )


def solve_unless_kept(  # noqa: PLR0913  # one keyword for each way to steer it
    target: Target,
    tools: LockTools,
    say: Say,
    *,
    upgrade: tuple[str, ...] | None = (),
    accepted: tuple[str, ...] = (),
    candidate: str | None = None,
    trigger: str = "",
    in_one_go: bool = False,
) -> Locked | Solved | Resolution:
    """Return the target's lock when it can be kept, else conda's answer to the question for one.

    Args:
        target: what to lock.
        tools: those of its environment.
        say: told what is done.
        upgrade: names of packages to upgrade; None means all of them.
        accepted: names of packages that may come from another index or channel than before.
        candidate: digest of a lock in the store that is the whole answer, as long as it satisfies
            and no newer lock became the current one; else it is said why not, and left aside.
        trigger: why that candidate was made.
        in_one_go: whether the answer is resolved by these tools at once.

    Raises: as `examine` and `solve`.
    """
    moved = _let_plugins_move(upgrade, target, tools.store, say)
    if candidate is not None:
        taken = _take(target, candidate, trigger, tools, say)
        if taken is not None:
            return taken
        upgrade = still_locked(upgrade, target, tools.store)
    else:
        upgrade = moved
    found = examine(target, tools, say, upgrade=upgrade, accepted=accepted)
    if isinstance(found, Locked):
        return found
    question = prepare(found, tools.project, tools.files, say)
    if not in_one_go:
        return Solved(question, solved(question, tools, say))
    made = MadeFrom(question, tools)
    kept = _satisfying(question, tools) if made.is_same else None
    if kept is not None:
        return _same(kept, "nothing that it was made from has changed", tools, say)
    return _SolvedHere(question, solved(question, tools, say, in_one_go=True), made)


def _let_plugins_move(
    upgrade: tuple[str, ...] | None, target: Target, store: Store, say: Say
) -> tuple[str, ...] | None:
    """Let locks of plugins that hold what may be upgraded be made anew; return what is left.

    The check that runs the plugins locks them when it runs next.
    """
    if upgrade == ():
        return upgrade
    names = {normalize(each) for each in upgrade or ()}
    moved: set[str] = set()
    for check, kept in plugin_locks(store.documents, target).items():
        if kept.holds(names) or (upgrade is None and kept.is_movable):
            forget_plugin_lock(store.documents, target, check)
            say(f"lock: the plugins of {check} may be upgraded; the check locks them anew")
            moved |= {each.name for plugin in kept.plugins for each in plugin.packages}
    if upgrade is None or not moved:
        return upgrade
    current = store.current_lock(target)
    known = {each.name for each in current.packages} if current else set()
    return tuple(
        each for each in upgrade if normalize(each) in known or normalize(each) not in moved
    )


def _take(
    target: Target, digest: str, trigger: str, tools: LockTools, say: Say
) -> Locked | Resolution | None:
    """Return a candidate as the answer, or None where it is none any more."""
    require_listed(target, tools.project)
    spec = tools.project.spec(target.environment)
    try:
        current = tools.store.current_lock(target)
        lock = tools.store.read_lock(digest, target)
    except IntegrityError as error:
        say(f"lock: the candidate {digest} is left aside: {error.problem}", logging.WARNING)
        return None
    reasons = unsatisfied(lock, spec, tools.project.policy, tools.conda.matches)
    if current is not None and current.locked_at > lock.locked_at:
        reasons += (f"{current.digest} was made after it and is the current lock",)
    if reasons:
        say(f"lock: the candidate {digest} is left aside: {'; '.join(reasons)}", logging.WARNING)
        return None
    if current is not None and current.digest == digest:
        return _keep(current, "the candidate is the current lock already", tools, say)
    reason = trigger or "a candidate was asked for"
    question = ask(
        target, spec, tools.project.policy, tools.store.now, previous=current, reasons=(reason,)
    )
    say(f"lock: taking the candidate {digest}: {reason}")
    return Resolution(question, lock)


def still_locked(
    upgrade: tuple[str, ...] | None, target: Target, store: Store
) -> tuple[str, ...] | None:
    """Return those of the names that are in the current lock, which may not be what it was."""
    if not upgrade:
        return upgrade
    current = store.current_lock(target)
    known = {each.name for each in current.packages} if current else set()
    return tuple(each for each in upgrade if normalize(each) in known)


def resolve(found: Locked | Solved | Resolution, tools: LockTools, say: Say) -> Locked | Resolution:
    """Return pip's answer beside conda's, once both agree; a lock that is there passes through.

    Raises: as `refuse_both_sides` and `agree`, and when the index has no file with a hash for a
        distribution.
    """
    if not isinstance(found, Solved):
        return found
    refuse_both_sides(found.question.spec, found.answer)
    made = found.made if isinstance(found, _SolvedHere) else MadeFrom(found.question, tools)
    agreement = agree(found.question, found.answer, tools, say)
    lock = assemble(found.question, agreement, tools, say)
    refuse_credentials(lock)
    made.remember(lock, agreement.pages)
    return Resolution(found.question, lock)


def refuse_credentials(lock: Lock) -> None:
    """Return when no URL of a lock, which others read, has a credential.

    What merely looks like one in a path is told by whoever gave the index.
    """
    for each in lock.packages:
        if carries_credentials(each.url, guess=False):
            raise InputError(
                f"The URL of {each.file_name.partition('?')[0]} at {channel_host(each.url)} "
                "carries a credential, which would stand in the lock.",
                "Use an index or a channel whose links have none; a login belongs into ~/.netrc.",
            )


def write(found: Locked | Resolution, tools: LockTools, say: Say) -> Locked:
    """Write a new lock and make it the target's current one; a kept lock passes through.

    A current lock that satisfies is kept where the new one holds the same, and where it was not
    there yet when the new one was asked for.

    Raises:
        StorageError: the store cannot be written; the current lock stays what it was.
    """
    if isinstance(found, Locked):
        return found
    question, lock = found.question, found.lock
    before, current = question.previous, _satisfying(question, tools)
    if current is not None and current.digest == lock.digest:
        return _same(current, "nothing newer within the rules", tools, say)
    if current is not None and (before is None or before.digest != current.digest):
        return _keep(current, "it was made meanwhile and satisfies", tools, say)
    path = tools.store.write_lock(lock)
    tools.store.set_current(question.target, lock.digest, tools.store.now())
    changes = compare(before, lock)
    say(
        f"lock: {lock.digest} of {question.target}: {len(lock.conda)} conda and "
        f"{len(lock.pip)} pip packages; {count(changes)}"
    )
    for each in lock.notes:
        say(f"lock: {each}")
    report = explain_relock(before, lock, tools, say)
    return Locked(lock, path, kept=False, changes=changes, reasons=question.reasons, report=report)


def _satisfying(question: LockRequest, tools: LockTools) -> Lock | None:
    """Return the target's current lock, if there is one that satisfies."""
    try:
        current = tools.store.current_lock(question.target)
    except IntegrityError:
        return None
    if current is None:
        return None
    wrong = unsatisfied(current, question.spec, tools.project.policy, tools.conda.matches)
    return None if wrong else current


def lock(
    target: Target,
    tools: LockTools,
    say: Say,
    *,
    upgrade: tuple[str, ...] | None = (),
    accepted: tuple[str, ...] = (),
) -> Locked:
    """Return the target's lock: kept while it satisfies, else solved, resolved and written.

    Raises:
        EltEnvError: as the steps say; the current lock stays what it was.
    """
    found = solve_unless_kept(
        *(target, tools, say), upgrade=upgrade, accepted=accepted, in_one_go=True
    )
    return write(resolve(found, tools, say), tools, say)
