"""Collect in a bucket that two machines share, beside those who read and move."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.release import collect_documents
from elt_env.release.collect import collect
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.release.store import ReleaseStore
from elt_env.store.bucket import BucketDocuments
from elt_env.store.collected import Item
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import prepare, pretend_packed, toolbox_at
from tests.support.s3_server import S3Server, new_prefix
from tests.support.sample import silent

pytestmark = pytest.mark.xdist_group("s3")

_LOCKS = [lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(5)]
_TARGET = _LOCKS[0].target
_NOW = timedelta(0)


@dataclass(frozen=True)
class Interrupted(BucketDocuments):
    """A bucket in which something happens right before an object is removed.

    Attributes:
        before: what happens.
    """

    before: Callable[[str], None] = field(default=lambda _: None, kw_only=True)

    def delete(self, key: str) -> None:
        self.before(key)
        super().delete(key)


@dataclass(frozen=True)
class World:
    """Two machines, and the bucket that they share."""

    one: Tools
    two: Tools
    bucket: BucketDocuments

    def names(self, folder: str) -> set[str]:
        """Return the digests of the locks that have a document in a folder."""
        return {f"sha256:{each[:64]}" for each in self.bucket.names(folder)}

    def collect(self, *, grace: timedelta = _NOW, dry_run: bool = False) -> tuple[Item, ...]:
        """Collect on the second machine."""
        return collect(self.two.project, self.two.store, silent, grace=grace, dry_run=dry_run)

    def release(self, lock: Lock) -> None:
        """Release a lock on the first machine, with an image and a bundle."""
        prepare(lock, self.one)
        pretend_packed(lock, self.one, seed=_LOCKS.index(lock))
        for end in ("tar", "tar.sig"):
            self.bucket.write(f"bundles/{_TARGET.name}/{lock.digest[7:]}.{end}", "archives")
        promote(_TARGET, self.one, silent, trigger="", by="")


@pytest.fixture
def world(s3: S3Server, tmp_path: Path) -> World:
    """Five locks were released, the newest last."""
    prefix, tools = new_prefix(), toolbox_at(tmp_path / "project")
    bucket = BucketDocuments(s3.bucket(prefix), f"s3://elt/{prefix}")
    one, two = (
        replace(tools, store=Store(tmp_path / each, documents=bucket)) for each in ("one", "two")
    )
    world = World(one, two, bucket)
    for lock in _LOCKS:
        world.release(lock)
    return world


def test_one_machine_removes_what_nobody_refers_to_for_all(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect_documents, "_LONGEST_WRITE", 0.0)
    left = f"locks/.{_LOCKS[0].digest[7:]}-0123456789ab/lock.json"
    world.bucket.write(left, "half")
    kept = {each.digest for each in _LOCKS[-3:]}  # keep-releases
    every = {each.digest for each in _LOCKS}

    assert world.collect(grace=timedelta(days=1)) == ()
    planned = world.collect(dry_run=True)
    assert world.names("images") == world.names(f"bundles/{_TARGET.name}") == every
    assert world.collect() == planned
    assert [each.what for each in planned] == ["bundles", "records", "leftover"]

    assert world.names("images") == world.names(f"bundles/{_TARGET.name}") == kept
    assert len(world.bucket.names(f"bundles/{_TARGET.name}")) == 2 * len(kept)
    assert left not in [each.key for each in world.bucket.aged("locks", -60.0)]
    assert world.collect() == ()
    # Locks, evidence and the history are there; the machine that packed it has its image.
    for tools in (world.one, world.two):
        assert {tools.store.read_lock(each, _TARGET).digest for each in every} == every
        assert len(ReleaseStore(tools.store).history(_TARGET.name)) == len(_LOCKS)
    old = _LOCKS[0].digest
    assert ImageStore(world.one.store).image(old)
    assert ImageStore(world.two.store).image(old) is None
    back = roll_back(_TARGET, world.one, silent, to=old, trigger="", by="")
    assert back.release.digest == old


def test_releases_that_move_meanwhile_lose_nothing(world: World) -> None:
    ended = threading.Event()

    def go_on() -> None:
        while not ended.is_set():
            world.collect()

    collector = threading.Thread(target=go_on)
    collector.start()
    try:
        for _ in range(2):
            for lock in _LOCKS[-2:]:
                world.release(lock)
                assert lock.digest in world.names("images")
                assert lock.digest in world.names(f"bundles/{_TARGET.name}")
    finally:
        ended.set()
        collector.join()
    assert ReleaseStore(world.two.store).current(_TARGET.name)


def test_a_record_that_is_written_anew_meanwhile_stays(world: World) -> None:
    old = _LOCKS[0]
    images = ImageStore(world.one.store)
    record = images.image(old.digest)
    assert record is not None
    packer = threading.Thread(target=images.record, args=(record, old.digest))

    def pack(key: str) -> None:
        if old.digest[7:] in key and key.startswith("images/"):
            packer.start()
            packer.join(2.0)  # as far as it comes while records are removed

    interrupted = Interrupted(world.bucket.bucket, world.bucket.url, before=pack)
    store = Store(world.two.store.local_home, documents=interrupted)
    collect(world.two.project, store, silent, grace=_NOW)
    packer.join()
    assert old.digest in world.names("images")
