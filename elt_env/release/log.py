"""Release log: every release of a target, and what each of them changed."""

from __future__ import annotations

from elt_env.errors import IntegrityError
from elt_env.lockfile.changes import compare
from elt_env.lockfile.document import Lock
from elt_env.package.target import Target
from elt_env.release.history import Entry
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store


def release_log(target: Target, store: Store) -> tuple[Entry, ...]:
    """Return every release of the target, the oldest first and the current one last.

    Raises:
        IntegrityError: a record cannot be read.
    """
    releases = ReleaseStore(store).history(target.name)
    locks = _locks({each.digest for each in releases}, target, store)
    entries = []
    for before, each in zip((None, *releases), releases, strict=False):
        old, new = (locks.get(before.digest) if before else None), locks.get(each.digest)
        known = new is not None and (before is None or old is not None)
        changes = compare(old, new) if new is not None and known else None
        entries.append(Entry(each, before, changes))
    return tuple(entries)


def _locks(digests: set[str], target: Target, store: Store) -> dict[str, Lock | None]:
    """Return the locks that are kept; None for one that cannot be read.

    What is gone is not asked for, as the store is patient with each: it may be being replaced. Then
    it is there at the second look.
    """
    found: dict[str, Lock | None] = {}
    for _ in range(2):
        for digest in digests & {*store.lock_digests()} - found.keys():
            found[digest] = _lock(digest, target, store)
    return found


def _lock(digest: str, target: Target, store: Store) -> Lock | None:
    try:
        return store.read_lock(digest, target)
    except IntegrityError:
        return None  # what is left is still worth telling
