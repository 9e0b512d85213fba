"""A bucket that is slow, busy, cut off or refuses, and processes that die at it."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import obstore
import pytest

from elt_env.errors import (
    BusyError,
    IntegrityError,
    PolicyError,
    StorageError,
    StoreUnreachableError,
)
from elt_env.runtime.limits import MOST_STORED_BYTES
from elt_env.runtime.masking import hidden
from elt_env.store.bucket import BucketDocuments
from elt_env.store.bucket_client import open_bucket
from tests.support.bucket import MemoryDocuments
from tests.support.loopback import Reply
from tests.support.registry_proxy import FaultProxy
from tests.support.s3_server import SECRET, S3Server, new_prefix

pytestmark = pytest.mark.xdist_group("s3")

_KEY = "targets/elt@3.11/lock.json"
_BUSY = Reply(503, b"<Error><Code>SlowDown</Code><Message>Reduce your rate.</Message></Error>")
_FILES = {"conda.lock": "new", "pylock.toml": "new", "lock.json": "new"}


@pytest.fixture
def proxy(s3: S3Server) -> Iterator[FaultProxy]:
    with FaultProxy(s3.host) as proxy:
        yield proxy


@pytest.fixture
def prefix() -> str:
    return new_prefix()


@pytest.fixture
def documents(s3: S3Server, proxy: FaultProxy, prefix: str) -> BucketDocuments:
    return BucketDocuments(s3.bucket(prefix, proxy.host), f"s3://elt/{prefix}", term=2.0)


@pytest.fixture
def direct(s3: S3Server, prefix: str) -> BucketDocuments:
    """The same documents, with nothing between."""
    return BucketDocuments(s3.bucket(prefix), f"s3://elt/{prefix}", term=2.0)


def test_a_busy_bucket_is_asked_again(documents: BucketDocuments, proxy: FaultProxy) -> None:
    def busy() -> None:
        proxy.faults.extend([_BUSY, _BUSY])

    busy()
    documents.write(_KEY, b"one")
    busy()
    assert documents.read(_KEY) == b"one"
    busy()
    assert documents.names("targets") == ("elt@3.11",)
    busy()
    assert documents.swap(_KEY, b"one", b"two")
    busy()
    documents.delete(_KEY)
    assert not proxy.faults


@pytest.mark.parametrize("before", [None, b"before"])
def test_a_swap_whose_answer_is_lost_is_known_to_be_done(
    documents: BucketDocuments, proxy: FaultProxy, before: bytes | None
) -> None:
    if before:
        documents.write(_KEY, before)
    proxy.only = lambda asked: asked.method == "PUT"
    proxy.lost = 1
    assert documents.swap(_KEY, before, b"after")
    assert proxy.lost == 0
    assert documents.read(_KEY) == b"after"
    assert not documents.swap(_KEY, before, b"after")


def test_no_move_is_lost_at_a_bad_bucket(documents: BucketDocuments, proxy: FaultProxy) -> None:
    documents.write(_KEY, b"0")
    proxy.latency = 0.01
    proxy.only = lambda asked: asked.method == "PUT"
    proxy.faults = deque([None, _BUSY, None, None, _BUSY] * 4)
    proxy.lost = 8

    def count(_: int) -> None:
        for _ in range(5):
            while not documents.swap(_KEY, seen := documents.read(_KEY), b"%d" % (int(seen) + 1)):
                pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    # One whose lost answer was found out too late counts twice, and none is missing.
    assert int(documents.read(_KEY)) >= 20
    assert proxy.lost == 0


_WRITER = """
import sys
from tests.support.s3_server import S3Server
from elt_env.store.bucket import BucketDocuments
host, prefix, action = sys.argv[1:]
documents = BucketDocuments(S3Server(host).bucket(prefix), "s3://elt", term=2.0)
if action == "write":
    documents.write_folder("locks/a", %r)
else:
    with documents.lease("releases/elt@3.11", 30, "moving it", "Wait."):
        print("holds it", flush=True)
        sys.stdin.read()
"""


def _process(host: str, prefix: str, action: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", _WRITER % _FILES, host, prefix, action],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("puts", range(len(_FILES) + 1))
def test_a_writer_that_dies_between_its_puts_leaves_the_folder(
    direct: BucketDocuments, proxy: FaultProxy, prefix: str, puts: int
) -> None:
    direct.write_folder("locks/a", {"lock.json": "old", "requirements.txt": "old"})
    dead = threading.Event()

    def last(_: object) -> bool:
        """Let the first puts pass, and the next one wait until its sender is dead."""
        if len(proxy.methods("PUT")) > puts:
            dead.set()
            proxy.closing.wait(30)
        return False

    proxy.only, proxy.faults = last, deque([_BUSY])
    with _process(proxy.host, prefix, "write") as writer:
        assert dead.wait(30)
        writer.kill()
    assert direct.names("locks/a") == ("lock.json", "requirements.txt")
    folder = direct.folder("locks/a")
    assert {folder.read(each) for each in direct.names("locks/a")} == {b"old"}
    assert direct.names("locks") == ("a",)
    direct.write_folder("locks/a", _FILES)
    assert direct.names("locks/a") == tuple(sorted(_FILES))


def test_the_lease_of_a_dead_holder_is_anothers_and_not_before(
    s3: S3Server, direct: BucketDocuments, prefix: str
) -> None:
    with _process(s3.host, prefix, "hold") as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holds it\n"
        # It lives for longer than a term, and is waited for.
        with pytest.raises(BusyError), _lease(direct, 2 * direct.term):
            pytest.fail("two hold it")
        holder.kill()
        holder.wait()
        with _lease(direct, 30):
            pass
    with _lease(direct, 0):
        pass


def _lease(documents: BucketDocuments, limit: float) -> AbstractContextManager[None]:
    return documents.lease("releases/elt@3.11", limit, "moving it", "Wait.")


def test_a_lease_compares_no_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    documents = MemoryDocuments(term=0.2)
    documents.write("releases/.elt@3.11.lock", b"of one who died")
    monkeypatch.setattr(time, "time", lambda: pytest.fail("the clock of this machine"))
    with pytest.raises(BusyError), _lease(documents, 0):
        pytest.fail("it may be alive")
    with _lease(documents, 30):
        pass


@dataclass(frozen=True)
class _Away(MemoryDocuments):
    """A bucket whose second answer takes longer than a term."""

    asked: list[str] = field(default_factory=list)

    def read(self, key: str, most: int = MOST_STORED_BYTES) -> bytes:
        self.asked.append(key)
        if len(self.asked) == 2:
            time.sleep(2 * self.term)
        return super().read(key, most)


def test_the_time_in_which_a_bucket_is_away_does_not_count() -> None:
    """The holder cannot renew its lease then, and lives."""
    documents = _Away(term=0.3)
    documents.write("releases/.elt@3.11.lock", b"of one who lives")
    with pytest.raises(BusyError), _lease(documents, documents.term):
        pytest.fail("it may be alive")
    with _lease(documents, 30):
        pass


def test_who_loses_a_lease_does_not_end_that_of_another(direct: BucketDocuments) -> None:
    key = "releases/.elt@3.11.lock"
    with _lease(direct, 0):
        direct.write(key, b"another one")
    assert direct.read(key) == b"another one"


def test_a_bucket_that_does_not_answer(s3: S3Server, proxy: FaultProxy, prefix: str) -> None:
    away = BucketDocuments(s3.bucket(prefix, "127.0.0.1:1", patience=0.1), "s3://elt")
    for ask in (
        lambda: away.read(_KEY),
        lambda: away.names("targets"),
        lambda: away.write(_KEY, b""),
        lambda: away.swap(_KEY, None, b""),
        lambda: away.delete(_KEY),
    ):
        with pytest.raises(StoreUnreachableError, match="does not answer") as caught:
            ask()
        assert caught.value.retryable
        assert "Connection refused" in caught.value.problem
        assert "\n" not in caught.value.problem
    proxy.faults.extend([_BUSY] * 100)
    busy = BucketDocuments(s3.bucket(prefix, proxy.host, patience=0.5), "s3://elt")
    with pytest.raises(StoreUnreachableError, match="SlowDown, Reduce your rate"):
        busy.read(_KEY)


@pytest.mark.slow
def test_a_bucket_that_is_away_for_a_while_is_waited_for(
    s3: S3Server, proxy: FaultProxy, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.variables(proxy.host).items():
        monkeypatch.setenv(name, value)
    documents = BucketDocuments(open_bucket(f"s3://elt/{prefix}"), f"s3://elt/{prefix}")
    back = time.monotonic() + 20
    proxy.only = lambda _: time.monotonic() < back
    proxy.faults.extend([_BUSY] * 100_000)
    assert documents.swap(_KEY, None, b"one")
    assert time.monotonic() >= back


def test_a_bucket_that_refuses(s3: S3Server) -> None:
    wrong = s3.bucket("", secret=f"not {SECRET}")
    documents = BucketDocuments(wrong, "s3://elt")
    for ask in (
        lambda: documents.read(_KEY),
        lambda: documents.names("targets"),
        lambda: documents.write(_KEY, b""),
        lambda: documents.swap(_KEY, None, b""),
    ):
        with pytest.raises(StorageError, match="The store refuses") as caught:
            ask()
        assert not caught.value.retryable
        assert "AWS_ACCESS_KEY_ID" in caught.value.remedy


def test_a_bucket_that_is_none(s3: S3Server) -> None:
    none = s3.bucket("", name="none-of-these")
    documents = BucketDocuments(none, "s3://none-of-these")
    for ask in (lambda: documents.read(_KEY), lambda: documents.names("targets")):
        with pytest.raises(StorageError, match="There is no bucket for"):
            ask()


@pytest.mark.parametrize("url", ["s3://", "ftp://bucket/prefix", "s3:elt"])
def test_an_url_of_no_bucket(url: str) -> None:
    with pytest.raises(PolicyError, match="cannot be a store"):
        open_bucket(url)


def test_a_folder_that_leads_elsewhere_is_refused(direct: BucketDocuments) -> None:
    direct.write_folder("locks/a", _FILES)
    direct.write("locks/a/.folder", '{"place": "../other", "names": ["lock.json"]}')
    with pytest.raises(IntegrityError, match="does not say which documents"):
        direct.folder("locks/a")


def test_what_a_real_login_leaves_is_masked(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    for name, value in s3.variables().items():
        monkeypatch.setenv(name, value)
    bucket = open_bucket(f"s3://elt/{prefix}")
    obstore.put(bucket, "a", b"1")
    assert BucketDocuments(bucket, f"s3://elt/{prefix}").read("a") == b"1"
    assert hidden(f"it said {SECRET}") == "it said ***"
