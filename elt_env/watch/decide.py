"""Decide: whether a new lock, and so a run, would come of what was seen of a target."""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import CancelledError
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal, TypeVar

from elt_env.errors import SourceError, TimeLimitError, UnsatisfiableError
from elt_env.index.project_page import ProjectPage
from elt_env.lock.candidate import Candidate, find_candidate
from elt_env.lock.lock_tools import LockTools
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.policy import EnvironmentPolicy
from elt_env.proof.checks.registry import is_blocking
from elt_env.release.notify import notify
from elt_env.runtime.cancelling import ended_by
from elt_env.store.locks import Store
from elt_env.tools import Tools, open_tools
from elt_env.watch.state import Ask, Sight, TargetState, shortened, trigger_text

_TO_RESOLVE = 20.0  # seconds without which a new lock is not begun
_Found = TypeVar("_Found")

Look = Literal["done", "unfinished", "late", "trouble", "needless"]
"""How far a look at a target came: to its end, or not to a decision; or it was not begun, since the
tick had no time for it, something kept it from being begun, or there is nothing to look at."""

Pages = dict[tuple[str | None, str], ProjectPage]
"""Pages of projects by the index and the project's name."""


class Tick:
    """One look at all targets: the time it may take, and the pages that were read.

    Args:
        seconds: how long it may take.
    """

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds
        self._known: dict[Hashable, Any] = {}
        self._asked: set[tuple[str | None, str]] = set()
        self._pages: Pages = {}

    @property
    def left(self) -> float:
        """Seconds that are left."""
        return max(0.0, self._end - time.monotonic())

    def once(self, what: Hashable, read: Callable[[], _Found]) -> _Found:
        """Return what `read` returns; what was read for an earlier target is not read again."""
        if what not in self._known:
            self._known[what] = read()
        found: _Found = self._known[what]
        return found

    def pages(self, packages: Iterable[Package], tools: LockTools) -> Pages:
        """Return the pages of packages, each from the index it was locked from, and maybe others.

        A project that its index does not have is left out.

        Raises: as `PackageIndex.look`.
        """
        wanted = {(each.index, each.name) for each in packages}
        for index in sorted({index for index, _ in wanted if index}):
            asked = {name: index for where, name in sorted(wanted - self._asked) if where == index}
            if asked:
                self._pages |= {
                    (index, name): page
                    for name, page in tools.package_index.look(asked).pages.items()
                }
                self._asked |= {(index, name) for name in asked}
        return self._pages


@dataclass(frozen=True)
class Outcome:
    """What came of a look at a target.

    Attributes:
        told: that, for a person.
        memory: what to remember; None when nothing was decided.
        ask: the run to ask for.
        look: how far the look came.
    """

    told: str
    memory: TargetState | None = None
    ask: Ask | None = None
    look: Look = "done"


@dataclass(frozen=True)
class Watcher:
    """What a look is made with."""

    tools: LockTools
    tick: Tick
    say: Say


def watcher_of(tools: Tools, environment: str, tick: Tick, say: Say) -> Watcher:
    """Return what to look with, so that no tool outlasts the tick."""
    policy = tools.policy.model_copy(update={"tool_limit": timedelta(seconds=tick.left)})
    project = replace(tools.project, policy=policy)
    return Watcher(open_tools(project, environment, tools.store.now), tick, say)


def no_lock(target: Target) -> Outcome:
    """Return what there is to say of a target without a lock."""
    told = f"there is no lock yet; make one with: elt-env build {target.name}"
    return Outcome(told, TargetState(), look="needless")


def decide(lock: Lock, sight: Sight, memory: TargetState, watcher: Watcher) -> Outcome:
    """Return what follows from a sight: a run for a new lock, or why there is none.

    Nothing is resolved where nothing has changed since the last decision.

    Raises: as `find_candidate`, but for what has no solution.
    """
    spec = watcher.tools.project.spec(lock.target.environment)
    fingerprint = sight.fingerprint(lock.digest, spec.digest)
    if not sight.usable and not sight.lost:
        return _decided(
            fingerprint, f"nothing new for what is locked ({sight.looked_at} looked at)", sight
        )
    if fingerprint == memory.fingerprint:
        told = f"nothing changed since the last decision: {memory.outcome}"
        return Outcome(told + _and_ignored(sight), memory)
    what = sight.found
    if not sight.upgrade:
        told = f"{what}; the current lock does not hold it, and becomes the release once proven"
        return _decided(fingerprint, told, sight)
    if watcher.tick.left < _TO_RESOLVE:
        told = f"{what}: no time left in this tick, the next one resolves it"
        return Outcome(told, look="unfinished")
    watcher.say(f"{lock.target.name}: {what}")
    return _resolved(lock, sight, fingerprint, what, watcher)


def _resolved(lock: Lock, sight: Sight, fingerprint: str, what: str, watcher: Watcher) -> Outcome:
    try:
        candidate = _find_in_time(lock, sight, watcher)
    except UnsatisfiableError as error:
        problem = shortened(error.problem)
        return _decided(fingerprint, f"{what}, but no new lock is possible: {problem}", sight)
    except SourceError as error:
        notify(
            lock.target,
            watcher.tools.project.policy,
            watcher.tools.store,
            watcher.say,
            "blocked",
            str(error),
            trigger=what,
        )
        told = f"{what}, but no new lock is made: {error.problem} -> {error.remedy}"
        watcher.say(f"{lock.target.name}: {error.problem}", logging.WARNING)
        return _decided(fingerprint, told, sight)
    except (CancelledError, TimeLimitError):
        told = f"{what}: resolving takes longer than a tick may; a run does it"
        return _run_without_candidate(lock, fingerprint, what, sight, told)
    if candidate is None and sight.plugins:
        told = f"{what}: a run locks the plugins anew"
        return _run_without_candidate(lock, fingerprint, what, sight, told)
    if candidate is None:
        told = (
            f"the lock would not change for {what}: what the spec asks for, and what is locked "
            "beside it, admits nothing else"
        )
        return _decided(fingerprint, told, sight)
    return _proposed(candidate, fingerprint, sight, watcher.tools)


def _decided(fingerprint: str, told: str, sight: Sight) -> Outcome:
    return Outcome(told + _and_ignored(sight), TargetState(fingerprint, told))


def _and_ignored(sight: Sight) -> str:
    ignored = sight.ignored_text()
    return ignored and f"; does not count: {ignored}"


def _find_in_time(lock: Lock, sight: Sight, watcher: Watcher) -> Candidate | None:
    """Return the candidate that what was seen leads to; None where it is all of plugins.

    Raises:
        CancelledError, TimeLimitError: the tick's time does not suffice.
    """
    locked = {each.name for each in lock.packages}
    upgrade = tuple(n for n in sight.upgrade if n in locked or n not in sight.plugins)
    if not upgrade:
        return None
    with _ended_after(watcher.tick.left):
        return find_candidate(lock.target, watcher.tools, watcher.say, upgrade=upgrade)


@contextlib.contextmanager
def _ended_after(seconds: float) -> Iterator[None]:
    """Let tools that run inside the block end after that time, with a CancelledError."""
    event = threading.Event()
    timer = threading.Timer(seconds, event.set)
    timer.start()
    try:
        with ended_by(event):
            yield
    finally:
        timer.cancel()


def _run_without_candidate(
    lock: Lock, fingerprint: str, what: str, sight: Sight, told: str
) -> Outcome:
    """Ask for a run that resolves by itself: it may take as long as it needs, or run a check."""
    ask = Ask(
        key=f"{lock.target.name} {short(fingerprint)}",
        job="build",
        python=lock.target.python,
        trigger=shortened(what),
        upgrade=sight.upgrade,
    )
    return Outcome(told, TargetState(fingerprint, told, ask), ask)


def _proposed(candidate: Candidate, fingerprint: str, sight: Sight, tools: LockTools) -> Outcome:
    """Ask for a run that makes a candidate the lock, unless it is known to fail."""
    digest = candidate.lock.digest
    trigger = trigger_text(candidate.changes, sight)
    policy = tools.project.environment(candidate.lock.target.environment)
    failed = failed_checks(digest, policy, tools.store)
    if failed:
        told = f"the lock {short(digest)} for {trigger} failed {', '.join(failed)} before"
        return _decided(
            fingerprint, f"{told}; it is not tried again until something changes", sight
        )
    ask = Ask(
        key=digest,
        job="build",
        python=candidate.lock.target.python,
        trigger=trigger,
        candidate=digest,
        upgrade=sight.upgrade,
    )
    told = f"a run was asked for: {trigger}"
    return Outcome(told, TargetState(fingerprint, told, ask), ask)


def failed_checks(digest: str | None, policy: EnvironmentPolicy, store: Store) -> tuple[str, ...]:
    """Return the names of the blocking checks that failed on a lock; none where there is no lock.

    Raises:
        IntegrityError: a record cannot be read.
    """
    evidence = store.evidence(digest) if digest else ()
    return tuple(each.check for each in evidence if each.failed and is_blocking(each.check, policy))
