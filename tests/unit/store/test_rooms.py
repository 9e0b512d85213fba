"""What each room keeps, in documents that are no files of this machine."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pytest

from elt_env.errors import BusyError, IntegrityError, PolicyError
from elt_env.image.record import ImageRecord
from elt_env.image.store import ImageStore
from elt_env.lock.plugin_lock import PluginLock
from elt_env.lock.plugin_locks import plugin_lock_before, read_plugin_lock, write_plugin_lock
from elt_env.lockfile.lock_json import FILE_NAME
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.store_owner import StoreOwner
from elt_env.project.unlisted import read_unlisted, remember
from elt_env.release.store import ReleaseStore
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store
from elt_env.watch.readiness import Look, judge
from elt_env.watch.store import ReadinessStore
from tests.support.bucket import MemoryDocuments
from tests.support.locks import MOMENT, TARGET, conda_package, lock_of, pip_package
from tests.support.releases import a_release, fake_prefix
from tests.support.small_images import make_image, random_layer

_LOCK = lock_of(conda_package(), pip_package())
_NEXT = lock_of(conda_package(), pip_package(version="1.1"))


@dataclass(frozen=True)
class _Counted(MemoryDocuments):
    """Documents that note what took the place of what."""

    swaps: list[tuple[bytes | None, bytes]] = field(default_factory=list)

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        done = super().swap(key, old, new)
        if done:
            self.swaps.append((old, new))
        return done


@pytest.fixture
def documents() -> _Counted:
    return _Counted()


@pytest.fixture
def store(tmp_path: Path, documents: _Counted) -> Store:
    return Store(tmp_path / "machine", documents=documents)


def _another(tmp_path: Path, documents: MemoryDocuments) -> Store:
    """Return the same store, as another machine has it."""
    return Store(tmp_path / "another", documents=documents)


def test_a_lock_and_its_pointer(store: Store, tmp_path: Path, documents: _Counted) -> None:
    for lock in (_LOCK, _NEXT):
        store.write_lock(lock)
        store.set_current(TARGET, lock.digest, MOMENT)
    other = _another(tmp_path, documents)
    assert other.current_lock(TARGET) == _NEXT
    pointer = other.pointer(TARGET)
    assert pointer is not None
    assert pointer.previous == _LOCK.digest
    assert set(other.lock_digests()) == {_LOCK.digest, _NEXT.digest}
    assert other.targets() == (TARGET.name,)
    assert not store.local_home.exists()


def test_a_lock_that_was_changed_there_is_refused(store: Store, documents: _Counted) -> None:
    store.write_lock(_LOCK)
    place = documents.folder(f"locks/{_LOCK.digest.removeprefix('sha256:')}").place("")
    folder = place.removeprefix("memory:///").rstrip("/")
    documents.write(f"{folder}/pylock.toml", "")
    documents.delete(f"{folder}/requirements.txt")
    assert store.damaged_files(_LOCK) == {
        "pylock.toml": "was changed",
        "requirements.txt": "is gone",
    }
    with pytest.raises(IntegrityError, match=r"memory:///locks/.*/pylock.toml is not what"):
        store.read_lock(_LOCK.digest, TARGET)
    documents.delete(f"{folder}/{FILE_NAME}")
    with pytest.raises(IntegrityError, match="cannot be read"):
        store.read_manifest(_LOCK.digest, TARGET)


def test_no_move_of_a_pointer_is_lost(store: Store, documents: _Counted) -> None:
    digests = [f"sha256:{number:064x}" for number in range(20)]

    def move(digest: str, at: datetime = MOMENT) -> None:
        store.set_current(TARGET, digest, at)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(move, digests))
    # They are noted in any order, after each was made: each begins where another one ended.
    after = dict(documents.swaps)
    last, moves = None, 0
    while last in after:
        last, moves = after[last], moves + 1
    assert moves == len(documents.swaps) == len(digests)


def test_evidence(store: Store, tmp_path: Path, documents: _Counted) -> None:
    evidence = Evidence("pip_check", "passed", MOMENT, 1.0, "all fits")
    store.record(_LOCK.digest, evidence)
    assert _another(tmp_path, documents).evidence(_LOCK.digest) == (evidence,)


def test_readiness_and_environments_of_files(documents: _Counted) -> None:
    readiness = judge(None, "elt", "3.13", Look("locked", (), "sha256:1", "3.13.1"), MOMENT)
    records = ReadinessStore(documents)
    records.write(readiness)
    assert records.all("elt") == (readiness,)
    remember(documents, "own", EnvironmentPolicy(spec="own.yml", pythons=("3.12",)))
    assert read_unlisted(documents)["own"].pythons == ("3.12",)


def test_locks_of_plugins(documents: _Counted) -> None:
    one, two = (PluginLock(python, "linux-64", ()) for python in ("3.11", "3.12"))
    for each in (one, two):
        write_plugin_lock(documents, TARGET, "ingest", each)
    assert read_plugin_lock(documents, TARGET, "ingest") == two
    assert plugin_lock_before(documents, TARGET, "ingest") == one


def test_a_store_is_the_first_projects(tmp_path: Path, documents: _Counted) -> None:
    owners = [StoreOwner(documents, tmp_path / name, name) for name in ("one", "two")]

    def claim(owner: StoreOwner) -> bool:
        try:
            owner.claim()
        except PolicyError:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        claimed = list(pool.map(claim, owners))
    assert sorted(claimed) == [False, True]


def test_which_image_was_packed(store: Store, tmp_path: Path, documents: _Counted) -> None:
    images = ImageStore(store)
    layer = random_layer(images.layout, 2_000, 1)
    manifest = make_image(images.layout, [layer], "elt-3.11")
    record = ImageRecord("elt-3.11", manifest, "a base", (), (layer,), (), MOMENT)
    images.record(record, _LOCK.digest)
    elsewhere = ImageStore(_another(tmp_path, documents))
    assert images.locks() == (_LOCK.digest,)
    assert elsewhere.locks() == ()
    assert elsewhere.image(_LOCK.digest) == record


def test_releases_and_their_mover(store: Store, tmp_path: Path, documents: _Counted) -> None:
    releases = ReleaseStore(store)
    made = [a_release(number, letter) for number, letter in ((1, "a"), (2, "b"))]
    for each in made:
        with releases.sole_mover(TARGET.name, 0):
            releases.prepare(each, fake_prefix(tmp_path / "prefix", "tool"))
            releases.switch(each)
    assert releases.history(TARGET.name) == tuple(made)
    assert documents.names(f"releases/.records/{TARGET.name}") == ("000001.json", "000002.json")
    other = _another(tmp_path, documents)
    with releases.sole_mover(TARGET.name, 0), pytest.raises(BusyError):
        _move(other)
    _move(other)


def _move(store: Store) -> None:
    with ReleaseStore(store).sole_mover(TARGET.name, 0):
        pass
