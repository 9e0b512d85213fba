"""Releases on disks that are full or refuse to be written."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import pytest

from elt_env.errors import StorageError
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store
from tests.support.releases import a_release, fake_prefix

_NAME = "elt@3.11"


def test_a_full_disk_leaves_the_release_and_the_next_try_completes(
    no_space: Path, tmp_path: Path
) -> None:
    releases = ReleaseStore(Store(no_space / "home"))
    prefix = fake_prefix(tmp_path / "prefix", *(f"tool{n}" for n in range(12)))
    releases.prepare(a_release(1, "a"), prefix)
    releases.switch(a_release(1, "a"))
    ballast = no_space / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))
    with pytest.raises(StorageError, match="No space left"):
        releases.prepare(a_release(2, "b"), prefix)
    assert releases.history(_NAME) == (a_release(1, "a"),)
    tool = releases.entry_points(_NAME) / "tool1"
    assert subprocess.run([tool], check=False, capture_output=True, timeout=20).returncode == 0
    ballast.unlink()
    releases.prepare(a_release(2, "b"), prefix)
    releases.switch(a_release(2, "b"))
    assert [each.number for each in releases.history(_NAME)] == [1, 2]


def test_a_store_that_cannot_be_written(unwritable: Path, tmp_path: Path) -> None:
    releases = ReleaseStore(Store(unwritable))
    with pytest.raises(StorageError, match="cannot be written"), releases.sole_mover(_NAME, 1):
        pass
    with pytest.raises(StorageError, match="cannot be written"):
        releases.prepare(a_release(1, "a"), fake_prefix(tmp_path / "prefix", "tool"))
    assert releases.current(_NAME) is None
    assert releases.targets() == ()
