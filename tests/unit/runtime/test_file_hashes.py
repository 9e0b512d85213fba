"""A file is read again when it is not what it was, and only then."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.runtime.file_hashes import FileHashes
from elt_env.runtime.files import sha256_of


def _write_in_place(path: Path) -> None:
    found = path.stat()
    with path.open("r+b") as file:
        file.write(b"B")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _replace(path: Path) -> None:
    new = path.with_name("new")
    new.write_bytes(b"Bcd")
    os.utime(new, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    new.replace(path)


@pytest.mark.parametrize("change", [_write_in_place, _replace])
def test_what_is_changed_is_seen_whatever_times_it_is_given(
    change: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    hashes = FileHashes()
    first = hashes.sha256_of(path)
    time.sleep(0.02)  # more than a tick of the clock that a kernel gives files
    change(path)
    assert hashes.sha256_of(path) == sha256_of(path) != first


def test_what_stays_is_read_once_under_all_its_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"abc")
    os.link(path, link)
    hashes = FileHashes()
    known = hashes.sha256_of(path)

    def refuse(_path: Path) -> str:
        raise AssertionError

    monkeypatch.setattr("elt_env.runtime.file_hashes.sha256_of", refuse)
    assert hashes.sha256_of(str(path)) == hashes.sha256_of(link) == known


def test_what_is_gone_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    hashes = FileHashes()
    hashes.sha256_of(path)
    path.unlink()
    with pytest.raises(OSError, match="No such file"):
        hashes.sha256_of(path)
