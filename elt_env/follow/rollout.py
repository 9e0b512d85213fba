"""Rollout: a release goes out in waves, and goes back where it does not hold."""

from __future__ import annotations

from dataclasses import dataclass

from elt_env.follow.opened import open_next, open_wave
from elt_env.follow.reports import known_machines, read_reports
from elt_env.follow.waves import Decision, decide, within
from elt_env.package.canonical import short
from elt_env.pipeline import Pipeline
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store

_NAMED = 5  # machines


@dataclass(frozen=True)
class Progress:
    """A release that goes out in waves.

    Attributes:
        release: None where nothing is released.
        wave: the last one that is open, from 0; as many as there are when all is done.
        decision: what comes next; None where it goes out at once.
    """

    release: Release | None
    wave: int = 0
    decision: Decision | None = None

    @property
    def text(self) -> str:
        """The progress in a line, for a person."""
        release, decision = self.release, self.decision
        if release is None:
            return "nothing is released"
        head = f"{release.target} release {release.number}, {short(release.digest)}:"
        if decision is None:
            return f"{head} all at once"
        share = "100" if decision.verdict == "done" else str(release.rollout[self.wave])
        counts = f"{decision.well} of {decision.machines} machines run it"
        return f"{head} {share} percent, {counts}, {len(decision.failed)} failed"


def progress(name: str, store: Store) -> Progress:
    """Return how far the release of a target is, and what comes next.

    Raises:
        IntegrityError: a record cannot be read.
        StorageError: the store does not answer.
    """
    release = ReleaseStore(store).current(name)
    if release is None or not release.rollout:
        return Progress(release)
    wave, documents = open_wave(release, store.documents), store.documents
    machines = known_machines(name, documents)
    reports = read_reports(name, documents, within(machines, release.rollout, wave))
    decision = decide(release.rollout, wave, release.number, machines, reports)
    return Progress(release, wave, decision)


def advance(pipeline: Pipeline, by: str) -> Progress:
    """Open the waves that may be opened, or go back to the release before; return the progress.

    Whoever else does the same at the same time, each wave is opened once, and each again does
    nothing more.

    Raises: as `progress`, and as `Pipeline.roll_back`.
    """
    name, store, say = pipeline.target.name, pipeline.tools.store, pipeline.say
    now = progress(name, store)
    while now.release and now.decision and now.decision.verdict == "open":
        if open_next(now.release, now.wave, store.documents):
            say(f"rollout: {now.text}; the next wave is open")
        now = progress(name, store)
    if now.decision and now.decision.verdict == "stop":
        say(f"rollout: {now.text}; going back")
        pipeline.roll_back(to=None, trigger=_reason(now.decision), by=by)
        now = progress(name, store)
    return now


def _reason(decision: Decision) -> str:
    first, *more = decision.failed[:_NAMED]
    hosts = ", ".join(each.host for each in (first, *more))
    count = f"{len(decision.failed)} of {decision.machines} machines"
    return f"it does not hold on {count}: {hosts}: {first.detail.partition(chr(10))[0]}"
