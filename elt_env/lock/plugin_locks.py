"""Store the locks of Meltano's plugins beside the lock of their target.

`plugins/<target>/<check>.json` below the store, for each check that runs a Meltano project, and
`<check>.before.json`, the one that it replaced.
"""

from __future__ import annotations

import contextlib

from pydantic import TypeAdapter

from elt_env.lock.plugin_lock import PluginLock
from elt_env.package.target import Target
from elt_env.store.documents import (
    Documents,
    read_record,
    record_bytes,
    record_names,
    write_record,
)

_FOLDER = "plugins"
_BEFORE = ".before.json"
_LOCK: TypeAdapter[PluginLock] = TypeAdapter(PluginLock)


def read_plugin_lock(documents: Documents, target: Target, check: str) -> PluginLock | None:
    """Return the lock of the plugins that a check runs; None before there is one.

    Raises:
        IntegrityError: it cannot be read.
    """
    return _read(documents, _key(target, check))


def plugin_lock_before(documents: Documents, target: Target, check: str) -> PluginLock | None:
    """Return the lock that the check's was before; None where there was none.

    Raises:
        IntegrityError: it cannot be read.
    """
    return _read(documents, _key(target, check, _BEFORE))


def plugin_locks(documents: Documents, target: Target) -> dict[str, PluginLock]:
    """Return the locks of plugins of a target, by the name of the check that runs them.

    Raises:
        IntegrityError: one cannot be read.
    """
    names = record_names(documents, f"{_FOLDER}/{target.name}")
    kept = {each: read_plugin_lock(documents, target, each) for each in names if "." not in each}
    return {name: lock for name, lock in kept.items() if lock}


def write_plugin_lock(documents: Documents, target: Target, check: str, lock: PluginLock) -> None:
    """Keep a lock in place of the one before, which is kept for comparison.

    Raises:
        StorageError: it cannot be written.
    """
    _copy(documents, _key(target, check), _key(target, check, _BEFORE))
    write_record(documents, _key(target, check), _LOCK, lock)


def forget_plugin_lock(documents: Documents, target: Target, check: str) -> None:
    """Let a lock be one of before, so that the next run makes a new one."""
    _copy(documents, _key(target, check), _key(target, check, _BEFORE))
    documents.delete(_key(target, check))


def restore_plugin_lock(documents: Documents, target: Target, check: str) -> None:
    """Let the lock of before be the check's again, where there is one.

    Raises:
        StorageError: it cannot be written.
    """
    _copy(documents, _key(target, check, _BEFORE), _key(target, check))


def render_plugin_lock(lock: PluginLock) -> bytes:
    """Return a lock as it is kept."""
    return record_bytes(_LOCK, lock)


def parse_plugin_lock(content: bytes) -> PluginLock:
    """Return the lock in what `render_plugin_lock` returned.

    Raises:
        ValueError: there is none in it.
    """
    return _LOCK.validate_json(content)


def _copy(documents: Documents, key: str, to: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        documents.write(to, documents.read(key))


def _key(target: Target, check: str, ending: str = ".json") -> str:
    return f"{_FOLDER}/{target.name}/{check}{ending}"


def _read(documents: Documents, key: str) -> PluginLock | None:
    return read_record(
        documents,
        key,
        _LOCK,
        "{}, the lock of plugins, cannot be read.",
        "Remove it; the next run of the check makes a new one.",
    )
