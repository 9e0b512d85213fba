"""Store the locks of Meltano's plugins beside the lock of their target.

`plugins/<target>/<check>.json` below the store, for each check that runs a Meltano project, and
`<check>.before.json`, the one that it replaced.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.lock.plugin_lock import PluginLock
from elt_env.package.target import Target
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored

_DIRECTORY = "plugins"
_BEFORE = ".before.json"
_LOCK: TypeAdapter[PluginLock] = TypeAdapter(PluginLock)


def read_plugin_lock(home: Path, target: Target, check: str) -> PluginLock | None:
    """Return the lock of the plugins that a check runs; None before there is one.

    Raises:
        IntegrityError: it cannot be read.
    """
    return _read(_directory(home, target) / f"{check}.json")


def plugin_lock_before(home: Path, target: Target, check: str) -> PluginLock | None:
    """Return the lock that the check's was before; None where there was none.

    Raises:
        IntegrityError: it cannot be read.
    """
    return _read(_directory(home, target) / f"{check}{_BEFORE}")


def plugin_locks(home: Path, target: Target) -> dict[str, PluginLock]:
    """Return the locks of plugins of a target, by the name of the check that runs them.

    Raises:
        IntegrityError: one cannot be read.
    """
    names = sorted(each.stem for each in _directory(home, target).glob("*.json"))
    kept = {each: read_plugin_lock(home, target, each) for each in names if "." not in each}
    return {name: lock for name, lock in kept.items() if lock}


def write_plugin_lock(home: Path, target: Target, check: str, lock: PluginLock) -> None:
    """Keep a lock in place of the one before, which is kept for comparison.

    Raises:
        StorageError: it cannot be written.
    """
    forget_plugin_lock(home, target, check)
    text = _LOCK.dump_json(lock, indent=1).decode()
    write_atomically(_directory(home, target) / f"{check}.json", text + "\n")


def forget_plugin_lock(home: Path, target: Target, check: str) -> None:
    """Let a lock be one of before, so that the next run makes a new one."""
    path = _directory(home, target) / f"{check}.json"
    if path.exists():
        path.replace(path.with_name(f"{check}{_BEFORE}"))


def restore_plugin_lock(home: Path, target: Target, check: str) -> None:
    """Let the lock of before be the check's again, where there is one.

    Raises:
        StorageError: it cannot be written.
    """
    before = _directory(home, target) / f"{check}{_BEFORE}"
    if before.exists():
        write_atomically(before.with_name(f"{check}.json"), read_stored(before))


def _directory(home: Path, target: Target) -> Path:
    return home / _DIRECTORY / target.name


def _read(path: Path) -> PluginLock | None:
    try:
        return _LOCK.validate_json(read_stored(path))
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        raise IntegrityError(
            f"{path}, the lock of plugins, cannot be read: {error}",
            "Remove it; the next run of the check makes a new one.",
        ) from error
