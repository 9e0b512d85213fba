from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from elt_env.errors import IntegrityError, StorageError
from elt_env.lockfile.document import LAYOUT, Lock
from elt_env.package.target import Target
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store, read_lock_directory
from tests.support.locks import MOMENT, TARGET, conda_package, lock_of, pip_package

_LOCK = lock_of(conda_package(), pip_package())
_FILES = ["conda-linux-64.lock", "lock.json", "pylock.toml", "requirements.txt"]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    """An empty store, on a disk that is not asked to be sure: that takes most of the time."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
    return Store(tmp_path / "store")


def _locked(store: Store, lock: Lock = _LOCK) -> Path:
    path = Path(store.write_lock(lock))
    store.set_current(lock.target, lock.digest, MOMENT)
    return path


def _refused(read: Callable[[], object], named: Path) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        read()
    assert str(named) in caught.value.problem
    assert caught.value.exit_code == 5
    return caught.value


def _tree(store: Store) -> dict[str, bytes]:
    files = sorted(path for path in store.local_home.rglob("*") if path.is_file())
    return {str(path.relative_to(store.local_home)): path.read_bytes() for path in files}


def test_a_lock_is_four_files_under_its_digest(store: Store) -> None:
    path = Path(store.write_lock(_LOCK))
    assert path == store.local_home / "locks" / _LOCK.digest.removeprefix("sha256:")
    assert sorted(each.name for each in path.iterdir()) == _FILES
    assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert store.read_lock(_LOCK.digest, TARGET) == _LOCK


def test_other_users_may_read_a_lock(store: Store) -> None:
    path = Path(store.write_lock(_LOCK))
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o777 & ~umask
    assert {each.stat().st_mode & 0o777 for each in path.iterdir()} == {0o644}


def test_before_the_first_lock_there_is_none(store: Store) -> None:
    assert store.pointer(TARGET) is None
    assert store.current_lock(TARGET) is None
    assert store.evidence(_LOCK.digest) == ()
    assert not store.local_home.exists()


def test_the_current_lock_is_the_one_that_was_made_so(store: Store) -> None:
    newer = lock_of(pip_package(version="1.1"))
    _locked(store)
    _locked(store, newer)
    assert store.current_lock(TARGET) == newer
    pointer = store.pointer(TARGET)
    assert pointer is not None
    assert (pointer.current, pointer.previous, pointer.at) == (newer.digest, _LOCK.digest, MOMENT)


def test_making_the_current_lock_current_again_keeps_the_one_before(store: Store) -> None:
    newer = lock_of(pip_package(version="1.1"))
    _locked(store)
    _locked(store, newer)
    before = store.pointer(TARGET)
    store.set_current(TARGET, newer.digest, MOMENT + timedelta(days=1))
    assert store.pointer(TARGET) == before


def test_targets_have_their_own_current_locks(store: Store) -> None:
    other = replace(_LOCK, target=replace(TARGET, python="3.12"))
    _locked(store)
    _locked(store, other)
    assert store.current_lock(TARGET) == _LOCK
    assert store.current_lock(other.target) == other


def test_the_same_packages_from_elsewhere_replace_the_lock(store: Store) -> None:
    path = _locked(store)
    moved = pip_package(url="https://mirror.example.invalid/alpha-1.0-py3-none-any.whl")
    again = lock_of(conda_package(), moved, locked_at=MOMENT + timedelta(days=9))
    assert again.digest == _LOCK.digest
    assert Path(store.write_lock(again)) == path
    assert store.current_lock(TARGET) == again
    assert [each.name for each in path.parent.iterdir()] == [path.name]


def test_a_lock_is_read_whole_while_another_process_replaces_it(store: Store) -> None:
    _locked(store)
    moved = replace(_LOCK, locked_at=MOMENT + timedelta(days=1))
    with ThreadPoolExecutor(1) as pool:
        writer = pool.submit(lambda: [store.write_lock(each) for each in (moved, _LOCK) * 10])
        while not writer.done():
            assert store.read_lock(_LOCK.digest, TARGET).digest == _LOCK.digest
            assert store.read_manifest(_LOCK.digest, TARGET).digest == _LOCK.digest
        assert len(writer.result()) == 20


def test_another_process_that_wrote_the_same_lock_meanwhile_is_right_too(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Path(store.write_lock(_LOCK))
    replace_path = Path.replace

    def meanwhile(self: Path, target: Path) -> Path:
        """Take the old lock away, and put it back as the other process does."""
        moved = replace_path(self, target)
        if self == path:
            store.write_lock(_LOCK)
        return moved

    monkeypatch.setattr(Path, "replace", meanwhile)
    assert Path(store.write_lock(_LOCK)) == path
    assert store.read_lock(_LOCK.digest, TARGET) == _LOCK


@pytest.mark.parametrize("name", [*_FILES, "the directory"])
@pytest.mark.parametrize("known", [True, False], ids=["a lock made again", "a new lock"])
def test_a_lock_that_cannot_be_written_whole_leaves_what_was_there(
    store: Store, monkeypatch: pytest.MonkeyPatch, name: str, *, known: bool
) -> None:
    _locked(store)
    before = _tree(store)
    replace_path = Path.replace

    def full(self: Path, target: Path) -> Path:
        if target.name == name or (self.name == "new" and name == "the directory"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace_path(self, target)

    lock = replace(_LOCK, indexes=("https://mirror.example.invalid",))
    lock = lock if known else replace(lock, packages=_LOCK.conda)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(StorageError, match="No space left"):
            store.write_lock(lock)
    assert _tree(store) == before
    assert len(list((store.local_home / "locks").iterdir())) == 1
    assert store.current_lock(TARGET) == _LOCK
    store.write_lock(lock)
    assert store.read_lock(lock.digest, TARGET) == lock


def test_a_store_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "store").write_text("", encoding="utf-8")
    with pytest.raises(StorageError, match="cannot be written"):
        Store(tmp_path / "store").write_lock(_LOCK)


def test_a_file_in_the_place_of_a_lock_gives_way(store: Store) -> None:
    place = Path(store.lock_directory(_LOCK.digest))
    place.parent.mkdir(parents=True)
    place.write_text("", encoding="utf-8")
    store.write_lock(_LOCK)
    assert store.read_lock(_LOCK.digest, TARGET) == _LOCK


@pytest.mark.parametrize("content", [b"x", b"\xff", b""])
@pytest.mark.parametrize("name", _FILES)
def test_a_file_that_was_changed_by_hand_is_named(store: Store, name: str, content: bytes) -> None:
    path = _locked(store) / name
    path.write_bytes(path.read_bytes() + content if content else content)
    error = _refused(lambda: store.current_lock(TARGET), path)
    assert "elt-env relock elt@3.11" in error.remedy


@pytest.mark.parametrize("name", _FILES)
def test_a_file_that_is_gone_or_no_file_is_named(store: Store, name: str) -> None:
    path = _locked(store) / name
    path.unlink()
    _refused(lambda: store.current_lock(TARGET), path)
    path.mkdir()
    _refused(lambda: store.current_lock(TARGET), path)


def test_a_changed_version_is_named_as_an_edit_by_hand(store: Store) -> None:
    path = _locked(store) / "lock.json"
    path.write_text(path.read_text(encoding="utf-8").replace("1.0", "1.1"), encoding="utf-8")
    error = _refused(lambda: store.current_lock(TARGET), path)
    assert "changed by hand" in error.problem


def test_a_lock_under_the_digest_of_another_is_refused(store: Store) -> None:
    other = lock_of(pip_package(version="1.1"))
    path = _locked(store)
    _locked(store, other).rename(store.local_home / "aside")
    path.rename(Path(store.lock_directory(other.digest)))
    error = _refused(lambda: store.current_lock(TARGET), Path(store.lock_directory(other.digest)))
    assert _LOCK.digest in error.problem
    assert other.digest in error.problem


@pytest.mark.parametrize(
    "other",
    [
        replace(TARGET, python="3.12"),
        replace(TARGET, platform="linux-aarch64"),
        replace(TARGET, environment="other"),
    ],
)
def test_a_lock_of_another_target_is_refused(store: Store, other: Target) -> None:
    path = _locked(store)
    error = _refused(lambda: read_lock_directory(path, other), path / "lock.json")
    assert str(TARGET) in error.problem
    assert str(other) in error.problem
    assert other.name in error.remedy


def test_a_directory_of_lock_files_can_lie_anywhere(store: Store, tmp_path: Path) -> None:
    elsewhere = Path(store.write_lock(_LOCK)).rename(tmp_path / "elsewhere")
    assert read_lock_directory(elsewhere, TARGET) == _LOCK
    assert read_lock_directory(elsewhere, None) == _LOCK


@pytest.fixture
def former(store: Store) -> Path:
    """A lock's directory in a store, as it was written when its files had another layout."""
    source = Path(__file__).parent / "lock-layout-1"
    digest = json.loads((source / "lock.json").read_text(encoding="utf-8"))["digest"]
    shutil.copytree(source, Path(store.lock_directory(digest)))
    store.set_current(TARGET, digest, MOMENT)
    return Path(store.lock_directory(digest))


def test_a_lock_of_the_former_layout_is_read_and_whole(store: Store, former: Path) -> None:
    lock = store.current_lock(TARGET)
    assert lock is not None
    assert lock.layout == 1
    assert Path(store.lock_directory(lock.digest)) == former
    assert store.damaged_files(lock) == {}
    assert [each.required_by for each in lock.pip if each.name == "beta"] == [("alpha",)]


@pytest.mark.parametrize("name", ["conda.lock", "lock.json", "pylock.toml", "requirements.txt"])
def test_an_edit_of_a_lock_of_the_former_layout_is_noticed(
    store: Store, former: Path, name: str
) -> None:
    content = (former / name).read_text(encoding="utf-8")
    (former / name).write_text(content.replace("1.0", "1.1").replace("2.0", "2.1"), "utf-8")
    _refused(lambda: store.current_lock(TARGET), former / name)


def test_a_lock_of_the_former_layout_is_written_again_as_it_was(store: Store, former: Path) -> None:
    lock = store.current_lock(TARGET)
    assert lock is not None
    names = ("conda.lock", "pylock.toml", "requirements.txt")
    before = [(former / name).read_bytes() for name in names]
    assert Path(store.write_lock(lock)) == former
    assert [(former / name).read_bytes() for name in names] == before
    assert store.current_lock(TARGET) == lock


def test_the_same_packages_locked_anew_have_the_layout_of_today(store: Store, former: Path) -> None:
    lock = store.current_lock(TARGET)
    assert lock is not None
    again = replace(lock, layout=LAYOUT)
    assert again.digest == lock.digest
    store.write_lock(again)
    assert sorted(each.name for each in former.iterdir()) == _FILES
    assert store.current_lock(TARGET) == again


def test_a_directory_without_a_lock_is_refused(tmp_path: Path) -> None:
    error = _refused(lambda: read_lock_directory(tmp_path, None), tmp_path / "lock.json")
    assert "TARGET" in error.remedy


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"{}", b"\xff", b'{"current": 5, "previous": null, "at": "x"}',
     b'{"current": "sha256:1", "at": "2026-01-01T00:00:00Z"}'],
)  # fmt: skip
def test_a_pointer_that_cannot_be_read_is_named_and_can_be_set_anew(
    store: Store, content: bytes
) -> None:
    _locked(store)
    path = store.local_home / "targets/elt@3.11/lock.json"
    path.write_bytes(content)
    error = _refused(lambda: store.current_lock(TARGET), path)
    assert "elt-env relock elt@3.11" in error.remedy
    _locked(store)
    assert store.current_lock(TARGET) == _LOCK


def test_a_pointer_to_a_lock_that_is_gone_is_refused(store: Store) -> None:
    path = _locked(store)
    path.rename(store.local_home / "aside")
    _refused(lambda: store.current_lock(TARGET), path)


def test_a_pointer_is_plain_json(store: Store) -> None:
    _locked(store)
    text = (store.local_home / "targets/elt@3.11/lock.json").read_text(encoding="utf-8")
    assert json.loads(text) == {
        "current": _LOCK.digest,
        "previous": None,
        "at": "2026-05-04T03:02:01Z",
    }


def test_evidence_belongs_to_a_digest_and_the_newest_counts(store: Store) -> None:
    failed = Evidence("pip_check", "failed", MOMENT, 1.5, "alpha needs beta", "logs/12.log")
    passed = replace(failed, status="passed", detail="")
    imports = Evidence("imports", "not_run", MOMENT, 0.0, "ä\n")
    store.record(_LOCK.digest, failed)
    store.record(_LOCK.digest, passed)
    store.record(_LOCK.digest, imports)
    assert store.evidence(_LOCK.digest) == (imports, passed)
    assert store.evidence("sha256:" + "0" * 64) == ()


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff", b'{"check": "x", "status": "fine"}'])
def test_evidence_that_cannot_be_read_is_named(store: Store, content: bytes) -> None:
    store.record(_LOCK.digest, Evidence("imports", "passed", MOMENT, 0.0, ""))
    (path,) = (store.local_home / "evidence").rglob("imports.json")
    path.write_bytes(content)
    error = _refused(lambda: store.evidence(_LOCK.digest), path)
    assert "run the check again" in error.remedy


def test_prefixes_and_logs_are_named_by_target_and_digest(store: Store) -> None:
    short = _LOCK.digest.removeprefix("sha256:")[:12]
    assert store.prefix_path(_LOCK) == store.local_home / "prefixes" / f"elt@3.11-{short}"
    assert store.log_path(_LOCK.digest, "imports") == store.local_home / f"logs/{short}/imports.log"
