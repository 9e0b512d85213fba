"""Prefixes and launchers of what a follower ran before, which go when nothing runs in them."""

from __future__ import annotations

import time

from elt_env.environment.collecting import remove_prefix
from elt_env.machine.process import Say
from elt_env.machine.users import in_use
from elt_env.package.canonical import short
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store

_GRACE = 60.0  # seconds, for what was just about to start


def collect_superseded(store: Store, digest: str, name: str, say: Say) -> None:
    """Remove the prefixes of a target in which nothing runs, but for that of one lock.

    Raises:
        StorageError: one cannot be removed.
    """
    kept = f"{name}-{short(digest)}"
    prefixes = sorted((store.local_home / "prefixes").glob(f"{name}-*"))
    there = [each for each in prefixes if each.name != kept]
    if not there:
        return
    busy = in_use(there)
    for path in there:
        size = None if path in busy else remove_prefix(path, time.time() - _GRACE, dry_run=False)
        if size is not None:
            say(f"follow: {path.name} is removed, in which nothing runs any more: {size >> 20} MiB")
        elif path in busy:
            say(f"follow: {path.name} stays, since a process runs in it")
    releases = ReleaseStore(store)
    digests = {each.digest for each in releases.history(name)}
    left = {each.name for each in there if each.exists()} | {kept}
    releases.drop_launchers(name, {each for each in digests if f"{name}-{short(each)}" in left})
