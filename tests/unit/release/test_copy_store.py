"""A store that is copied holds what it held, wherever it goes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from elt_env.errors import InputError, IntegrityError, PolicyError, StoreUnreachableError
from elt_env.project.store_owner import StoreOwner
from elt_env.release.copy_store import Copied, copy_store
from elt_env.release.store import ReleaseStore
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store, log_key
from tests.support.bucket import MemoryDocuments
from tests.support.locks import MOMENT, TARGET, conda_package, lock_of, pip_package
from tests.support.releases import a_release, fake_prefix
from tests.support.said import Said

_LOCKS = [lock_of(conda_package(), pip_package(version=each)) for each in ("1.0", "1.1")]
_LOG = log_key(_LOCKS[0].digest, "pip_check-0123456789ab")


@dataclass(frozen=True)
class _Failing(MemoryDocuments):
    """A bucket that is away after so many writes."""

    left: list[int] = field(default_factory=lambda: [1 << 20])

    def _count(self) -> None:
        self.left[0] -= 1
        if self.left[0] < 0:
            raise StoreUnreachableError("It is away.", "Try again.")

    def write(self, key: str, content: str | bytes) -> None:
        self._count()
        super().write(key, content)

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        self._count()
        return super().swap(key, old, new)


@pytest.fixture
def source(tmp_path: Path) -> Store:
    """A store in a directory, with all that one holds."""
    store = Store(tmp_path / "source")
    StoreOwner(store.documents, tmp_path / "project", "analytics").claim()
    for lock in _LOCKS:
        store.write_lock(lock)
        store.set_current(TARGET, lock.digest, MOMENT)
    store.documents.write(_LOG, "all fits\n")
    store.documents.write("logs/0123/pip_install.log", "of this machine\n")
    store.record(_LOCKS[0].digest, Evidence("pip_check", "passed", MOMENT, 1.0, "", _LOG))
    for key in ("diffs/a-b.json", "readiness/elt/3.13.json", "plugins/elt@3.11/smoke.json"):
        store.documents.write(key, "{}\n")
    store.documents.write(f"images/{'a' * 64}.json", "{}\n")
    store.documents.write(f"images/{'a' * 64}.cdx.json", "an SBOM\n")
    store.documents.write(f"images/{'a' * 64}.lock", "")
    for number, letter in ((1, "a"), (2, "b"), (3, "a")):
        _release(store, number, letter, tmp_path)
    return store


def _release(store: Store, number: int, letter: str, place: Path) -> None:
    releases, release = ReleaseStore(store), a_release(number, letter)
    releases.prepare(release, fake_prefix(place / "prefix", "tool"))
    releases.switch(release)


def _copy(source: Store, target: Store) -> Copied:
    return copy_store(source, target, Said(), limit=1.0)


def _require_same(one: Store, other: Store) -> None:
    assert other.lock_digests() == one.lock_digests()
    for digest in one.lock_digests():
        assert other.read_lock(digest, TARGET) == one.read_lock(digest, TARGET)
        assert other.evidence(digest) == one.evidence(digest)
    assert other.pointer(TARGET) == one.pointer(TARGET)
    for key in ("diffs/a-b.json", "readiness/elt/3.13.json", "plugins/elt@3.11/smoke.json"):
        assert other.documents.read(key) == one.documents.read(key)
    assert ReleaseStore(other).targets() == ReleaseStore(one).targets()
    assert ReleaseStore(other).history(TARGET.name) == ReleaseStore(one).history(TARGET.name)
    assert ReleaseStore(other).current(TARGET.name) == ReleaseStore(one).current(TARGET.name)
    assert other.documents.read("project.json") == one.documents.read("project.json")


def test_to_a_bucket_and_back(source: Store, tmp_path: Path) -> None:
    bucket = Store(tmp_path / "machine", documents=MemoryDocuments())
    assert _copy(source, bucket).there == 0
    _require_same(source, bucket)
    assert bucket.documents.names("images") == (f"{'a' * 64}.json",)
    assert [
        log
        for each in bucket.documents.names("logs")
        for log in bucket.documents.names(f"logs/{each}")
    ] == [_LOG.rpartition("/")[2]]
    assert not bucket.local_home.exists()
    back = Store(tmp_path / "back")
    _copy(bucket, back)
    _require_same(source, back)
    # Each goes on from there.
    _release(bucket, 4, "b", tmp_path / "other")
    _release(back, 4, "b", tmp_path / "other")
    assert ReleaseStore(bucket).history(TARGET.name) == ReleaseStore(back).history(TARGET.name)


def test_from_a_bucket_to_another(source: Store, tmp_path: Path) -> None:
    one, two = (
        Store(tmp_path / "machine", documents=MemoryDocuments(url=f"memory://{each}"))
        for each in ("one", "two")
    )
    _copy(source, one)
    _copy(one, two)
    _require_same(source, two)


def test_a_second_copy_writes_what_is_new(source: Store, tmp_path: Path) -> None:
    bucket = Store(tmp_path / "machine", documents=MemoryDocuments())
    first = _copy(source, bucket)
    assert _copy(source, bucket) == Copied(0, first.written)
    _release(source, 4, "b", tmp_path)
    assert _copy(source, bucket).written == 1
    _require_same(source, bucket)


def test_a_copy_that_was_interrupted_goes_on(source: Store, tmp_path: Path) -> None:
    documents = _Failing()
    bucket = Store(tmp_path / "machine", documents=documents)
    tries = 0
    while True:
        documents.left[0] = 8
        tries += 1
        try:
            last = _copy(source, bucket)
        except StoreUnreachableError:
            # Whatever a pointer leads to is there.
            pointer = bucket.pointer(TARGET)
            assert pointer is None or bucket.read_lock(pointer.current, TARGET)
            continue
        break
    assert tries > 2
    assert last.there > 0
    _require_same(source, bucket)


def test_a_damaged_copy_is_mended(source: Store, tmp_path: Path) -> None:
    documents = MemoryDocuments()
    bucket = Store(tmp_path / "machine", documents=documents)
    _copy(source, bucket)
    place = documents.folder(f"locks/{_LOCKS[0].digest.removeprefix('sha256:')}").place("")
    documents.write(f"{place.removeprefix('memory:///')}/pylock.toml", "")
    documents.write("diffs/a-b.json", "")
    assert _copy(source, bucket).written == 2
    _require_same(source, bucket)


def test_a_store_with_releases_of_its_own_is_left_alone(source: Store, tmp_path: Path) -> None:
    bucket = Store(tmp_path / "machine", documents=MemoryDocuments())
    _copy(source, bucket)
    _release(bucket, 4, "b", tmp_path / "other")
    with pytest.raises(PolicyError, match="has a release 4"):
        _copy(source, bucket)
    _copy(bucket, source)
    _require_same(bucket, source)


def test_what_cannot_be_copied_is_refused(source: Store, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is one store"):
        _copy(source, Store(source.local_home))
    with pytest.raises(InputError, match="There is no store in"):
        _copy(Store(tmp_path / "nowhere"), Store(tmp_path / "target"))
    other = Store(tmp_path / "other")
    StoreOwner(other.documents, tmp_path / "elsewhere", "finance").claim()
    with pytest.raises(PolicyError, match="belongs to the project"):
        _copy(source, other)
    (source.local_home / "project.json").write_text("[")
    with pytest.raises(IntegrityError, match="cannot be read"):
        _copy(source, Store(tmp_path / "target"))
    assert not (tmp_path / "target").exists()


def test_a_document_that_cannot_be_read_is_named(source: Store, tmp_path: Path) -> None:
    path = source.local_home / "diffs" / "bad.json"
    path.mkdir()
    with pytest.raises(IntegrityError) as caught:
        _copy(source, Store(tmp_path / "target"))
    assert str(path) in caught.value.problem
    assert json.loads((source.local_home / "project.json").read_text())["name"] == "analytics"
