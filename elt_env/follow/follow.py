"""Follow: this machine comes to run what is released elsewhere.

Each step is done whole or not at all, and the next run takes up what was interrupted: the lock is
kept, the prefix is made from it or the image pulled, it is proven, and what leads to it moves in
one rename. What was seen of the pointer is noted last, so that until then it is read again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pydantic import TypeAdapter

from elt_env.errors import EltEnvError, InputError, IntegrityError, ProofError, StorageError
from elt_env.follow.as_prefix import AsPrefix
from elt_env.follow.form import Form, Position
from elt_env.follow.machine import Machine
from elt_env.follow.opened import open_wave
from elt_env.follow.reports import Report, State, host_name, write_report
from elt_env.follow.waves import wave_of
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.runtime.masking import hidden
from elt_env.store.documents import read_record, write_record

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


def follow(machine: Machine, say: Say, form: Form = AsPrefix()) -> Followed:  # noqa: B008  # frozen
    """Bring this machine to the release of its target; where nothing is new, one request is made.

    Raises:
        InputError: nothing is released.
        IntegrityError: the pointer or the lock was changed by hand, or an archive was.
        ProofError: a check failed here; the machine goes on running what it ran.
        NetworkError, StorageError, BusyError: the next call takes it up again.
    """
    with _alone(machine):
        before = _whole_position(machine, form)
        news = _news(machine, before)
        if news is None and before:
            say(f"follow: {machine.target.name} stays at release {before.number}, nothing is new")
            followed = Followed(before, moved=False)
        elif (turn := _turn(*_require(news, machine), machine, before, say)) is None and before:
            followed = Followed(before, moved=False)
        else:
            now = _brought_to(*_require(turn, machine), machine, form, say)
            followed = Followed(now, moved=before is None or before.number != now.number)
        form.tidy(followed.position.digest, machine, say)
        return followed


def position(machine: Machine, form: Form) -> Position | None:
    """Return what was noted last; None before the first release arrived.

    Raises:
        IntegrityError: it cannot be read.
    """
    documents, key = machine.own.documents, _key(machine, form)
    remedy = "Remove it, then run the same command."
    return read_record(documents, key, _position, "{} does not say what is followed.", remedy)


@contextmanager
def _alone(machine: Machine) -> Iterator[None]:
    name = machine.target.name
    remedy = "Let it end; it does the same."
    limit = machine.tools.project.policy.busy_limit.total_seconds()
    with machine.own.documents.lease(f"following/{name}", limit, f"following {name}", remedy):
        yield


def _whole_position(machine: Machine, form: Form) -> Position | None:
    """Return what was noted, where it is of this source and all of it is still there."""
    noted = position(machine, form)
    if noted is None or noted.source != machine.source.documents.place(""):
        return None
    return noted if form.stands(noted, machine) else None


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


def _brought_to(release: Release, tag: str, machine: Machine, form: Form, say: Say) -> Position:
    """Make a release this machine's, and note it."""
    _require_forward(machine, form, release)
    say(f"follow: {release.target} is released as {short(release.digest)}, {release.number}")
    try:
        form.bring(release, machine, say)
    except EltEnvError as error:
        state: State = "failed" if isinstance(error, ProofError) else "trouble"
        _report(machine, release, state, error.problem, say)
        raise
    _report(machine, release, "runs", "", say)
    now = Position(machine.source.documents.place(""), tag, release.number, release.digest)
    write_record(machine.own.documents, _key(machine, form), _position, now)
    return now


def _report(machine: Machine, release: Release, state: State, detail: str, say: Say) -> None:
    """Report to the store that is followed; where it takes no reports, that is said and no more."""
    if not machine.reports:
        return
    running = release.number if state == "runs" else machine.released()
    at = machine.own.now().replace(microsecond=0)
    report = Report(machine.id, host_name(), release.number, state, running, hidden(detail), at)
    try:
        write_report(release.target, report, machine.source.documents, machine.own.documents)
    except StorageError as error:
        say(f"follow: no report: {error.problem}", logging.WARNING)


def _require_forward(machine: Machine, form: Form, release: Release) -> None:
    """Return when this machine runs no later release: a roll back is a later one too."""
    noted = position(machine, form)
    place = machine.source.documents.place("")
    if noted and noted.source == place and noted.number > release.number:
        raise IntegrityError(
            f"{place} says that release {release.number} of {release.target} is the newest, and "
            f"this machine runs {noted.number}: it was set back, as from an old copy.",
            f"Release again there: elt-env promote {release.target}; or, if it is meant, follow "
            "from an empty directory.",
        )


def _key(machine: Machine, form: Form) -> str:
    return f"following/{machine.target.name}{form.suffix}"
