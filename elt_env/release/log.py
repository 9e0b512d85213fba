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
    digests = dict.fromkeys(each.digest for each in releases)
    locks = {digest: _lock(digest, target, store) for digest in digests}
    entries = []
    for before, each in zip((None, *releases), releases, strict=False):
        old, new = (locks[before.digest] if before else None), locks[each.digest]
        known = new is not None and (before is None or old is not None)
        changes = compare(old, new) if new is not None and known else None
        entries.append(Entry(each, before, changes))
    return tuple(entries)


def _lock(digest: str, target: Target, store: Store) -> Lock | None:
    try:
        return store.read_lock(digest, target)
    except IntegrityError:
        return None  # what is left is still worth telling
