"""The files of plugins' locks."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.errors import IntegrityError
from elt_env.lock.plugin_lock import LockedPlugin, PluginLock
from elt_env.lock.plugin_locks import (
    forget_plugin_lock,
    plugin_lock_before,
    plugin_locks,
    read_plugin_lock,
    write_plugin_lock,
)
from elt_env.lockfile.document import Package
from elt_env.package.target import Target
from elt_env.store.local import LocalDocuments

_TARGET = Target("elt", "3.11", "linux-64")


def made(version: str) -> PluginLock:
    package = Package("pip", "six", version, "https://files.example/six.whl", "00" * 32)
    plugin = LockedPlugin("extractors", "tap", "tap", (package,), ("a @ https://files.example/a",))
    return PluginLock("3.11", "linux-64", (plugin,))


def test_a_lock_and_the_one_before(tmp_path: Path) -> None:
    documents = LocalDocuments(tmp_path)
    assert read_plugin_lock(documents, _TARGET, "ingest") is None
    write_plugin_lock(documents, _TARGET, "ingest", made("1"))
    assert plugin_lock_before(documents, _TARGET, "ingest") is None
    write_plugin_lock(documents, _TARGET, "ingest", made("2"))
    assert read_plugin_lock(documents, _TARGET, "ingest") == made("2")
    assert plugin_lock_before(documents, _TARGET, "ingest") == made("1")
    assert plugin_locks(documents, _TARGET) == {"ingest": made("2")}
    forget_plugin_lock(documents, _TARGET, "ingest")
    forget_plugin_lock(documents, _TARGET, "ingest")
    assert plugin_locks(documents, _TARGET) == {}
    assert plugin_lock_before(documents, _TARGET, "ingest") == made("2")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    documents = LocalDocuments(tmp_path)
    write_plugin_lock(documents, _TARGET, "ingest", made("1"))
    (path,) = tmp_path.rglob("ingest.json")
    path.write_text("{")
    with pytest.raises(IntegrityError, match=r"ingest\.json"):
        read_plugin_lock(documents, _TARGET, "ingest")
