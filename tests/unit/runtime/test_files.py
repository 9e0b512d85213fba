from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import StorageError
from elt_env.runtime.files import remove_tree, sha256_of, write_atomically, writing


def test_a_file_is_written_with_its_directories(tmp_path: Path) -> None:
    path = tmp_path / "a/b/c.txt"
    write_atomically(path, "ä\n")
    assert path.read_bytes() == "ä\n".encode()
    write_atomically(path, b"\xff")
    assert path.read_bytes() == b"\xff"
    assert path.stat().st_mode & 0o777 == 0o644
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(("owner", "name"), [(os, "fsync"), (Path, "replace")])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_write_that_fails_leaves_the_old_content_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, owner: object, name: str, code: int
) -> None:
    path = tmp_path / "file"
    write_atomically(path, "old")

    def fail(*args: object) -> None:
        del args
        raise OSError(code, os.strerror(code))

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, fail)
        with pytest.raises(StorageError if code == errno.ENOSPC else OSError):
            write_atomically(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("code", "problem", "remedy"),
    [
        (errno.ENOSPC, "No space left on the disk of", "Free some space"),
        (errno.EDQUOT, "No space left on the disk of", "Free some space"),
        (errno.EACCES, "Permission denied", "ELT_ENV_HOME"),
        (errno.EPERM, "not permitted", "ELT_ENV_HOME"),
        (errno.EROFS, "Read-only file system", "ELT_ENV_HOME"),
        (errno.ENOTDIR, "Not a directory", "ELT_ENV_HOME"),
    ],
)
def test_what_the_disk_refuses_is_said_in_words(code: int, problem: str, remedy: str) -> None:
    with pytest.raises(StorageError) as caught, writing(Path("/store/x")):
        raise OSError(code, os.strerror(code))
    assert problem in caught.value.problem
    assert "/store/x" in caught.value.problem
    assert remedy in caught.value.remedy
    assert caught.value.exit_code == 6


def test_other_failures_pass_through() -> None:
    with pytest.raises(FileNotFoundError), writing(Path("/store")):
        raise FileNotFoundError(errno.ENOENT, "gone")
    with pytest.raises(ValueError, match="mine"), writing(Path("/store")):
        raise ValueError("mine")


def test_a_file_where_a_directory_should_be_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="Not a directory"):
        write_atomically(tmp_path / "file/below/x", "")


@given(st.binary(max_size=100))
def test_a_sha256_is_that_of_the_content(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "hashed"
    path.write_bytes(data)
    assert sha256_of(path) == hashlib.sha256(data).hexdigest()


def test_a_sha256_of_a_large_file(tmp_path: Path) -> None:
    data = b"0123456789" * 300_000
    (tmp_path / "large").write_bytes(data)
    assert sha256_of(tmp_path / "large") == hashlib.sha256(data).hexdigest()


def _tree(path: Path) -> Path:
    (path / "a/b").mkdir(parents=True)
    (path / "a/b/c").write_text("c", encoding="utf-8")
    (path / "link").symlink_to(path.parent / "kept")
    return path


def test_a_tree_is_removed_and_what_it_links_to_stays(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    remove_tree(_tree(tmp_path / "tree"))
    assert [each.name for each in tmp_path.iterdir()] == ["kept"]


def test_nothing_to_remove_is_fine(tmp_path: Path) -> None:
    remove_tree(tmp_path / "tree")
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_removal_is_taken_up_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = _tree(tmp_path / "tree")

    def interrupt(path: Path, *, ignore_errors: bool) -> None:
        del path, ignore_errors
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", interrupt)
        with pytest.raises(KeyboardInterrupt):
            remove_tree(tree)
    assert not tree.exists()
    remove_tree(tree)
    assert list(tmp_path.iterdir()) == []
