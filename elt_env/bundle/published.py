"""Bundles in the store: what followers build from where no index answers, one for each lock."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from elt_env.bundle.pack import write_bundle
from elt_env.bundle.signature import signature_path
from elt_env.bundle.unpack import keep_archives_of
from elt_env.environment.prefix_tools import PrefixTools
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.runtime.files import writing
from elt_env.store.locks import Store

_FOLDER = "bundles"


def publish_bundle(lock: Lock, tools: PrefixTools, say: Say, signer: Path | None = None) -> str:
    """Put the bundle of a lock into the store, where it is not; return where it is.

    It is signed with the OpenSSH key `signer`, else with the policy's `bundle-key`, if that names
    one.

    Raises: as `write_bundle`.
    """
    documents, key = tools.store.documents, _key(lock)
    folder, place = key.rpartition("/")[0], documents.place(key)
    signer = signer or tools.project.bundle_key
    wanted = [key, signature_path(Path(key)).as_posix()] if signer else [key]
    if {each.rpartition("/")[2] for each in wanted} <= {*documents.names(folder)}:
        say(f"bundle: {place} is there already")
        return place
    with _scratch_file(tools.store) as path:
        write_bundle(lock, tools, path, say, key=signer)
        say(f"bundle: writing {path.stat().st_size >> 20} MiB to {place}")
        for each, file in reversed([*zip(wanted, (path, signature_path(path)), strict=False)]):
            documents.write_file(each, file)
    return place


def take_bundle(lock: Lock, source: Store, tools: PrefixTools, say: Say) -> bool:
    """Keep the archives of a lock from its bundle in a store; return whether there is one.

    Raises:
        IntegrityError: it is not as it was written, or nobody signed it whom the policy names;
            nothing of it is kept then.
        StorageError: it cannot be read, or its archives cannot be kept.
    """
    documents, key = source.documents, _key(lock)
    with _scratch_file(tools.store) as path:
        say(f"bundle: reading {documents.place(key)}")
        try:
            documents.read_file(key, path)
        except FileNotFoundError:
            say("bundle: there is none")
            return False
        if tools.project.bundle_signers:
            with contextlib.suppress(FileNotFoundError):  # which is said of where it is missed
                documents.read_file(f"{key}.sig", signature_path(path))
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
