"""Reads the history of all targets out of the store, which is the truth about it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.package.target import Target
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.report.history_rows import History, KeptLock, Role
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Pointer, Store


def read_history(store: Store, say: Say) -> History:
    """Return every lock of the store with its evidence, and every release.

    What cannot be read is left out, and said.
    """
    releases = tuple(_releases(ReleaseStore(store), say))
    released = {each.digest for each in releases}
    locks = tuple(_locks(store, say))
    pointers = _pointers(store, {each.target for each in locks}, say)
    kept = []
    for lock in locks:
        evidence = _evidence(store, lock.digest, say)
        taken = bool(evidence) or lock.digest in released
        role = _role(lock.digest, pointers.get(lock.target), taken=taken)
        kept.append(KeptLock(lock, role, evidence))
    return History(tuple(kept), releases)


def _role(digest: str, pointer: Pointer | None, *, taken: bool) -> Role:
    if pointer is not None and digest == pointer.current:
        return "current"
    if pointer is not None and digest == pointer.previous:
        return "previous"
    return "past" if taken else "candidate"


def _locks(store: Store, say: Say) -> Iterator[Lock]:
    for digest in store.lock_digests():
        try:
            yield store.read_lock(digest, None)
        except IntegrityError as error:
            say(f"history: a lock is left out: {error.problem}")


def _pointers(store: Store, targets: Iterable[Target], say: Say) -> dict[Target, Pointer]:
    found = {}
    for target in sorted(targets):
        try:
            pointer = store.pointer(target)
        except IntegrityError as error:
            say(f"history: {target.name} is taken to have no current lock: {error.problem}")
            continue
        if pointer is not None:
            found[target] = pointer
    return found


def _evidence(store: Store, digest: str, say: Say) -> tuple[Evidence, ...]:
    try:
        return store.evidence(digest)
    except IntegrityError as error:
        say(f"history: the evidence of {digest} is left out: {error.problem}")
        return ()


def _releases(releases: ReleaseStore, say: Say) -> Iterator[Release]:
    for name in releases.targets():
        try:
            yield from releases.history(name)
        except IntegrityError as error:
            say(f"history: the releases of {name} are left out: {error.problem}")
