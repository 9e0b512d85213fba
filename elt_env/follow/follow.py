"""Follow: this machine comes to run what is released elsewhere.

Each step is done whole or not at all, and the next run takes up what was interrupted: the lock is
kept, the prefix is made from it and checked, and the entry points move to it in one rename. What
was seen of the pointer is noted last, so that until then it is read again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter

from elt_env.bundle.published import take_bundle
from elt_env.environment.build import ensure_prefix, require_as_sealed
from elt_env.environment.prefix import Prefix
from elt_env.errors import (
    EltEnvError,
    InputError,
    IntegrityError,
    NetworkError,
    ProofError,
    StorageError,
)
from elt_env.follow.machine import Machine
from elt_env.follow.opened import open_wave
from elt_env.follow.reports import Report, State, host_name, write_report
from elt_env.follow.superseded import collect_superseded
from elt_env.follow.waves import wave_of
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.proof.checks import CHECKS
from elt_env.proof.prove import prefix_prover
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.release.verify import require_whole, verify_prefix
from elt_env.runtime.masking import hidden
from elt_env.store.documents import read_record, write_record

Check = Literal["none", "quick", "full"]
QUICK = ("pip_check", "mixed_managers", "native_libraries", "binary_abi")
"""The checks of another machine that take few seconds: what its own libraries may break."""


@dataclass(frozen=True)
class Position:
    """What a follower runs, as it noted it.

    Attributes:
        source: where it was released.
        tag: of the pointer there, when it was read.
        number: of the release.
        digest: of its lock.
    """

    source: str
    tag: str
    number: int
    digest: str


_position: TypeAdapter[Position] = TypeAdapter(Position)


@dataclass(frozen=True)
class Followed:
    """What came of it.

    Attributes:
        position: what this machine runs now.
        moved: whether it did not before.
    """

    position: Position
    moved: bool


def follow(machine: Machine, say: Say, *, check: Check = "quick") -> Followed:
    """Bring this machine to the release of its target; where nothing is new, one request is made.

    Raises:
        InputError: nothing is released.
        IntegrityError: the pointer or the lock was changed by hand, or an archive was.
        ProofError: a check failed here; the machine goes on running what it ran.
        NetworkError, StorageError, BusyError: the next call takes it up again.
    """
    with _alone(machine):
        before = _whole_position(machine)
        news = _news(machine, before)
        if news is None and before:
            say(f"follow: {machine.target.name} stays at release {before.number}, nothing is new")
            followed = Followed(before, moved=False)
        elif (turn := _turn(*_require(news, machine), machine, before, say)) is None and before:
            followed = Followed(before, moved=False)
        else:
            now = _brought_to(*_require(turn, machine), machine, check, say)
            followed = Followed(now, moved=before is None or before.number != now.number)
        collect_superseded(machine.own, followed.position.digest, machine.target.name, say)
        return followed


def position(machine: Machine) -> Position | None:
    """Return what was noted last; None before the first release arrived.

    Raises:
        IntegrityError: it cannot be read.
    """
    documents, key = machine.own.documents, _key(machine)
    remedy = "Remove it, then run the same command."
    return read_record(documents, key, _position, "{} does not say what is followed.", remedy)


@contextmanager
def _alone(machine: Machine) -> Iterator[None]:
    name = machine.target.name
    remedy = "Let it end; it does the same."
    limit = machine.tools.project.policy.busy_limit.total_seconds()
    with machine.own.documents.lease(f"following/{name}", limit, f"following {name}", remedy):
        yield


def _whole_position(machine: Machine) -> Position | None:
    """Return what was noted, where it is of this source and all of it is still there."""
    noted = position(machine)
    if noted is None or noted.source != machine.source.documents.place(""):
        return None
    try:
        current = ReleaseStore(machine.own).current(machine.target.name)
        lock = machine.own.read_manifest(noted.digest, machine.target)
    except IntegrityError:
        return None
    prefix = Prefix(machine.own.prefix_path(lock), lock)
    prefix.mark_used()
    there = current is not None and current.number == noted.number
    return noted if there and prefix.ready else None


def _news(machine: Machine, before: Position | None) -> tuple[Release, str] | None:
    tag = before.tag if before else ""
    try:
        return ReleaseStore(machine.source).news(machine.target.name, tag)
    except FileNotFoundError:
        return None


def _require(news: tuple[Release, str] | None, machine: Machine) -> tuple[Release, str]:
    if news is None:
        name, place = machine.target.name, machine.source.documents.place("")
        raise InputError(
            f"Nothing of {name} is released in {place}.",
            f"Release it where it is built: elt-env build {name}; or correct --from",
        )
    return news


def _turn(
    release: Release, tag: str, machine: Machine, before: Position | None, say: Say
) -> tuple[Release, str] | None:
    """Return the release that this machine may take, with its tag; None where it is to wait.

    One that runs nothing yet takes the release before, and looks again at the next run.
    """
    if not release.rollout or (before and before.number == release.number):
        return release, tag
    source, wave = machine.source, wave_of(machine.id, release.rollout)
    if wave <= open_wave(release, source.documents):
        return release, tag
    share = release.rollout[wave]
    say(f"follow: release {release.number} comes here with {share} percent of the machines")
    if before:
        _report(machine, release, "waits", "", say)
        return None
    previous = ReleaseStore(source).previous(release.target)
    return (previous, "") if previous else (release, tag)


def _brought_to(release: Release, tag: str, machine: Machine, check: Check, say: Say) -> Position:
    """Make a release this machine's, and note it."""
    _require_forward(machine, release)
    say(f"follow: {release.target} is released as {short(release.digest)}, {release.number}")
    try:
        lock = _fetched(machine, release)
        machine = machine.for_lock(lock)
        prefix = _built(lock, machine, say)
        _require_holding(prefix, machine, check, say)
        _switch(machine, release, prefix, say)
    except EltEnvError as error:
        state: State = "failed" if isinstance(error, ProofError) else "trouble"
        _report(machine, release, state, error.problem, say)
        raise
    _report(machine, release, "runs", "", say)
    now = Position(machine.source.documents.place(""), tag, release.number, release.digest)
    write_record(machine.own.documents, _key(machine), _position, now)
    return now


def _report(machine: Machine, release: Release, state: State, detail: str, say: Say) -> None:
    """Report to the store that is followed; where it takes no reports, that is said and no more."""
    if not machine.reports:
        return
    running = _number(ReleaseStore(machine.own), machine.target.name)
    at = machine.own.now().replace(microsecond=0)
    report = Report(machine.id, host_name(), release.number, state, running, hidden(detail), at)
    try:
        write_report(release.target, report, machine.source.documents, machine.own.documents)
    except StorageError as error:
        say(f"follow: no report: {error.problem}", logging.WARNING)


def _require_forward(machine: Machine, release: Release) -> None:
    """Return when this machine runs no later release: a roll back is a later one too."""
    noted = position(machine)
    place = machine.source.documents.place("")
    if noted and noted.source == place and noted.number > release.number:
        raise IntegrityError(
            f"{place} says that release {release.number} of {release.target} is the newest, and "
            f"this machine runs {noted.number}: it was set back, as from an old copy.",
            f"Release again there: elt-env promote {release.target}; or, if it is meant, follow "
            "from an empty directory.",
        )


def _fetched(machine: Machine, release: Release) -> Lock:
    """Return the lock of a release, kept on this machine.

    Raises:
        IntegrityError: it is gone, was changed by hand, or is of another target or platform.
    """
    own, target = machine.own, machine.target
    try:
        return own.read_lock(release.digest, target)
    except IntegrityError:
        lock = machine.source.read_manifest(release.digest, target)
        own.write_lock(lock)
        return lock


def _built(lock: Lock, machine: Machine, say: Say) -> Prefix:
    """Return the prefix of a lock, built from the bundle in the source where no index answers."""
    try:
        path = ensure_prefix(lock, machine.tools, say).path
    except NetworkError as error:
        say(f"follow: {error.problem}", logging.WARNING)
        if not take_bundle(lock, machine.source, machine.tools, say):
            raise
        path = ensure_prefix(lock, machine.tools, say).path
    return Prefix(path, lock)


def _require_holding(prefix: Prefix, machine: Machine, check: Check, say: Say) -> None:
    """Return when a prefix is as it was made, and works on this machine.

    Raises:
        IntegrityError: files of it were changed, or are gone.
        ProofError: a check failed.
    """
    lock, tools = prefix.lock, machine.tools
    if check == "none":
        return
    if check == "full":
        require_whole(lock, verify_prefix(lock, tools.store, say))
    else:
        require_as_sealed(prefix)
    names = CHECKS if check == "full" else QUICK
    results = prefix_prover(lock, tools, say).results(names)
    failed = [f"{each.check}: {each.detail}" for each in results if each.failed]
    if failed:
        name = lock.target.name
        raise ProofError(
            f"{name} with the lock {short(lock.digest)} does not hold on this machine:\n"
            + "\n".join(failed),
            f"This machine runs what it ran. See what is wrong: elt-env doctor {name}",
        )
    for each in results:
        if each.status == "not_run":
            say(f"follow: {each.check} was not run: {each.detail}", logging.WARNING)


def _switch(machine: Machine, release: Release, prefix: Prefix, say: Say) -> None:
    """Let the entry points of this machine lead to a release, in one rename."""
    releases, name = ReleaseStore(machine.own), machine.target.name
    limit = machine.tools.project.policy.busy_limit.total_seconds()
    with releases.sole_mover(name, limit):
        machine.own.set_current(machine.target, release.digest, machine.own.now())
        if _number(releases, name) == release.number:
            releases.mend(release, prefix.path)
        else:
            releases.prepare(release, prefix.path)
            releases.switch(release)
    say(f"follow: {name} is now {release.digest}, release {release.number}")


def _number(releases: ReleaseStore, name: str) -> int:
    try:
        current = releases.current(name)
    except EltEnvError:
        return 0
    return current.number if current else 0


def _key(machine: Machine) -> str:
    return f"following/{machine.target.name}.json"


def entry_points(machine: Machine) -> Path:
    """Return the directory with the programs of what this machine runs."""
    return ReleaseStore(machine.own).entry_points(machine.target.name)
