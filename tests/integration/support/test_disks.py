from __future__ import annotations

import errno
from pathlib import Path

import pytest

from tests.support.disks import small_disk


def test_a_small_disk_fills_up(no_space: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught:
        (no_space / "large").write_bytes(bytes(300 * 1024))
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.parametrize("no_space", ["2m"], indirect=True)
def test_its_size_can_be_chosen(no_space: Path) -> None:
    (no_space / "large").write_bytes(bytes(1024 * 1024))


def test_it_is_gone_afterwards(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "64k") as disk:
        (disk / "file").touch()
        assert disk.is_mount()
    assert not disk.is_mount()


def test_an_unwritable_directory_refuses_everyone(unwritable: Path) -> None:
    with pytest.raises(OSError, match=r"Read-only|Permission denied") as caught:
        (unwritable / "file").touch()
    assert caught.value.errno in (errno.EROFS, errno.EACCES)
    with pytest.raises(OSError, match=r"Read-only|Permission denied"):
        (unwritable / "directory").mkdir()
