"""Standing: what is released of a target, what waits, why, and what failed; nothing is run."""

from __future__ import annotations

from elt_env.errors import EltEnvError
from elt_env.lock.explain_diff import read_report
from elt_env.package.canonical import short
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.proof.proof import examine, require_proven
from elt_env.release.record import withdrawn
from elt_env.release.store import ReleaseStore
from elt_env.report.show import previous_lock, show
from elt_env.report.standing import Standing
from elt_env.report.summary import SET_CLOCK, Summary
from elt_env.store.locks import Store


def standing_of(target: Target, project: Project, store: Store) -> Standing:
    """Return how a target stands; where its records cannot be read, that is what waits."""
    try:
        return _standing(show(target, store), project, store)
    except EltEnvError as error:
        return Standing(target, waits=error.problem, remedy=error.remedy)


def _standing(summary: Summary, project: Project, store: Store) -> Standing:
    waits, remedy = _reason(summary, project, store)
    before = previous_lock(summary.target, store)
    lock = summary.lock
    report = read_report(store, before.digest if before else None, lock.digest) if lock else None
    clock = summary.clock_trouble(store.now())
    failed = sorted((each for each in summary.evidence if each.failed), key=lambda each: each.at)
    told = [f"{each.check}: {each.detail.partition(chr(10))[0]}" for each in failed]
    return Standing(
        target=summary.target,
        lock=lock,
        release=summary.release,
        waits=waits,
        remedy="\n".join(each for each in (remedy, SET_CLOCK if clock else "") if each),
        newer=report.held_back if report else (),
        failed="\n".join([*([clock] if clock else []), *told]),
    )


def _reason(summary: Summary, project: Project, store: Store) -> tuple[str, str]:
    """Return why the current lock is not the release, and what to do about it."""
    name, lock, release = summary.target.name, summary.lock, summary.release
    if lock is None:
        return "nothing is locked yet", f"elt-env build {name}"
    if release is not None and release.digest == lock.digest:
        return "", ""
    waiting = f"the lock {short(lock.digest)}"
    if not summary.ready:
        return f"{waiting} is not built", f"elt-env build {name}"
    history = ReleaseStore(store).history(name)
    if lock.digest in withdrawn(history):
        why = f"{waiting} was rolled back from: {history[-1].trigger}"
        return why, f"elt-env promote {name}, when it is good after all; or elt-env relock {name}"
    try:
        require_proven(
            examine(lock, project, store), project.environment(summary.target.environment), store
        )
    except EltEnvError as error:
        return error.problem, error.remedy
    return f"{waiting} is proven, and not promoted", f"elt-env promote {name}"
