"""Bundles in the store: what followers build from where no index answers, one for each lock."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from elt_env.bundle.pack import write_bundle
from elt_env.bundle.unpack import keep_archives_of
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.runtime.files import writing
from elt_env.store.locks import Store

_FOLDER = "bundles"


def publish_bundle(lock: Lock, tools: PrefixTools, say: Say) -> str:
    """Put the bundle of a lock into the store, where it is not; return where it is.

    Raises: as `write_bundle`.
    """
    documents, key = tools.store.documents, _key(lock)
    folder, _, name = key.rpartition("/")
    place = documents.place(key)
    if name in documents.names(folder):
        say(f"bundle: {place} is there already")
        return place
    with _scratch_file(tools.store) as path:
        write_bundle(lock, tools, path, say)
        say(f"bundle: writing {path.stat().st_size >> 20} MiB to {place}")
        documents.write_file(key, path)
    return place


def take_bundle(lock: Lock, source: Store, tools: PrefixTools, say: Say) -> bool:
    """Keep the archives of a lock from its bundle in a store; return whether there is one.

    Raises:
        IntegrityError: it is not as it was written; nothing of it is kept then.
        StorageError: it cannot be read, or its archives cannot be kept.
    """
    key = _key(lock)
    with _scratch_file(tools.store) as path:
        say(f"bundle: reading {source.documents.place(key)}")
        try:
            source.documents.read_file(key, path)
        except FileNotFoundError:
            say("bundle: there is none")
            return False
        keep_archives_of(lock, path, tools, say)
    return True


def _key(lock: Lock) -> str:
    return f"{_FOLDER}/{lock.target.name}/{_name(lock.digest)}"


def _name(digest: str) -> str:
    return f"{digest.removeprefix('sha256:')}.tar"


@contextlib.contextmanager
def _scratch_file(store: Store) -> Iterator[Path]:
    """Yield the path of a file on the disk of the store, which may be larger than that of /tmp."""
    work = store.local_home / "work"
    with writing(work):
        work.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=work, prefix="bundle-") as place:
            yield Path(place, "bundle.tar")
