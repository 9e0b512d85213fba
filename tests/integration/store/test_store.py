from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.errors import StorageError
from elt_env.lockfile.document import Lock
from elt_env.store.locks import Store
from tests.support.locks import MOMENT, TARGET, lock_of, pip_package

_SMALL = lock_of(pip_package())


def _big() -> Lock:
    """Return a lock whose files together need more than a disk of 256 KiB has."""
    return lock_of(*(pip_package(f"package-{number}") for number in range(300)))


def test_a_full_disk_leaves_no_lock_half_there(no_space: Path) -> None:
    store = Store(no_space)
    store.write_lock(_SMALL)
    store.set_current(TARGET, _SMALL.digest, MOMENT)
    big = _big()
    with pytest.raises(StorageError, match="No space left") as caught:
        store.write_lock(big)
    assert caught.value.exit_code == 6
    assert "ELT_ENV_HOME" in caught.value.remedy
    assert [each.name for each in (no_space / "locks").iterdir()] == [
        Path(store.lock_directory(_SMALL.digest)).name
    ]
    assert store.current_lock(TARGET) == _SMALL


def test_a_full_disk_leaves_the_lock_that_was_to_be_replaced(no_space: Path) -> None:
    store = Store(no_space)
    store.write_lock(_SMALL)
    (no_space / "ballast").write_bytes(b"x" * (_free(no_space) - 4096))
    moved = replace(_SMALL, indexes=("https://mirror.example.invalid/simple",))
    with pytest.raises(StorageError, match="No space left"):
        store.write_lock(moved)
    assert store.read_lock(_SMALL.digest, TARGET) == _SMALL


def _free(directory: Path) -> int:
    return shutil.disk_usage(directory).free


def test_a_store_that_refuses_writing_says_so(unwritable: Path) -> None:
    store = Store(unwritable)
    with pytest.raises(StorageError, match="cannot be written") as caught:
        store.write_lock(_SMALL)
    assert str(unwritable) in caught.value.problem
    with pytest.raises(StorageError, match="cannot be written"):
        store.set_current(TARGET, _SMALL.digest, MOMENT)
    assert list(unwritable.iterdir()) == []
