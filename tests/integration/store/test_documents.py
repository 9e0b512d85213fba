"""The contract of a store's documents, for every implementation of it."""

from __future__ import annotations

import errno
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest
from pydantic import TypeAdapter

from elt_env.errors import BusyError, IntegrityError
from elt_env.store.bucket import BucketDocuments
from elt_env.store.documents import Documents, read_record, write_record
from elt_env.store.local import LocalDocuments
from tests.support.bucket import MemoryDocuments
from tests.support.s3_server import S3Server, new_prefix

_KEY = "readiness/elt@3.11/3.11.json"
_COUNTS = TypeAdapter(dict[str, int])


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.xdist_group("s3"))])
def documents(request: pytest.FixtureRequest, tmp_path: Path) -> Documents:
    if request.param == "local":
        return LocalDocuments(tmp_path / "home")
    if request.param == "memory":
        return MemoryDocuments()
    server: S3Server = request.getfixturevalue("s3")
    prefix = new_prefix()
    return BucketDocuments(server.bucket(prefix), f"s3://elt/{prefix}")


def test_what_is_written_is_read_and_replaced(documents: Documents) -> None:
    documents.write(_KEY, "ä\n")
    assert documents.read(_KEY) == "ä\n".encode()
    documents.write(_KEY, b"\xff")
    assert documents.read(_KEY) == b"\xff"


def test_what_is_not_there_is_not_found(documents: Documents) -> None:
    with pytest.raises(FileNotFoundError):
        documents.read(_KEY)
    documents.write(_KEY, "")
    documents.delete(_KEY)
    documents.delete(_KEY)
    with pytest.raises(FileNotFoundError):
        documents.read(_KEY)
    with pytest.raises(FileNotFoundError):
        documents.read("readiness/elt@3.11/3.1")


def test_what_is_too_large_is_not_read(documents: Documents) -> None:
    documents.write(_KEY, "12345")
    assert documents.read(_KEY, 5) == b"12345"
    with pytest.raises(OSError, match="larger than") as caught:
        documents.read(_KEY, 4)
    assert caught.value.errno == errno.EFBIG


def test_a_folder_has_documents_and_folders_by_name(documents: Documents) -> None:
    assert documents.names("locks") == ()
    for key in ("locks/b/lock.json", "locks/a/lock.json", "locks/c.json", "locks/.hidden"):
        documents.write(key, "")
    documents.write("locks-of-others/x", "")
    assert documents.names("locks") == ("a", "b", "c.json")
    assert documents.names("locks/a") == ("lock.json",)
    documents.delete("locks/c.json")
    assert documents.names("locks") == ("a", "b")


def test_a_document_that_is_written_again_has_another_tag(documents: Documents) -> None:
    assert documents.tags("locks") == {}
    documents.write("locks-of-others/x", "")
    documents.write("locks/.hidden", "0")
    documents.write_folder("locks/a", {"lock.json": "0"})
    before = documents.tags("locks")
    assert documents.tags("locks") == before
    assert ".hidden" in before
    documents.write("locks/.hidden", "1")
    after = documents.tags("locks")
    assert {each for each in after if after[each] != before[each]} == {".hidden"}
    documents.write_folder("locks/a", {"lock.json": "1"})
    assert after.items() - documents.tags("locks").items()
    documents.delete("locks/.hidden")
    assert documents.tags("locks").keys() == documents.tags("locks").keys() - {".hidden"}


def test_a_place_names_the_key(documents: Documents) -> None:
    assert documents.place(_KEY).endswith(f"/{_KEY}")


def test_a_folder_is_written_as_a_whole_again_and_again(documents: Documents) -> None:
    for text in ("one", "two"):
        documents.write_folder("locks/a", {"requirements.txt": text, "lock.json": text})
        assert documents.names("locks/a") == ("lock.json", "requirements.txt")
        assert documents.folder("locks/a").read("lock.json") == text.encode()
    assert documents.names("locks") == ("a",)


def test_nothing_of_a_folder_is_left_in_the_next(documents: Documents) -> None:
    documents.write_folder("locks/a", {"conda.lock": "one", "lock.json": "one"})
    documents.write_folder("locks/a", {"lock.json": "two"})
    assert documents.names("locks/a") == ("lock.json",)
    folder = documents.folder("locks/a")
    with pytest.raises(FileNotFoundError):
        folder.read("conda.lock")
    assert folder.read("lock.json") == b"two"
    assert folder.place("lock.json").endswith("/lock.json")
    with pytest.raises(FileNotFoundError):
        documents.folder("locks/b").read("lock.json")


def test_of_those_who_write_a_folder_at_once_one_is_there(documents: Documents) -> None:
    def write(number: int) -> None:
        documents.write_folder("locks/a", {each: str(number) for each in ("a", "b", "c")})

    _at_once(4, write)
    folder = documents.folder("locks/a")
    assert len({folder.read(each) for each in documents.names("locks/a")}) == 1


def test_who_reads_a_folder_sees_one_writing(documents: Documents) -> None:
    names = ("a", "b", "lock.json")
    documents.write_folder("locks/a", dict.fromkeys(names, "0"))

    def read() -> set[bytes]:
        while True:
            folder = documents.folder("locks/a")
            try:
                return {folder.read(each) for each in names}
            except FileNotFoundError:
                pass  # it has just been replaced

    def write() -> None:
        for turn in range(1, 20):
            documents.write_folder("locks/a", dict.fromkeys(names, str(turn)))

    with ThreadPoolExecutor(1) as pool:
        written = pool.submit(write)
        while not written.done():
            seen = read()
            assert isinstance(documents, LocalDocuments) or len(seen) == 1
        written.result()
    assert read() == {b"19"}


def test_a_swap_needs_what_was_seen(documents: Documents) -> None:
    assert not documents.swap(_KEY, b"one", b"two")
    assert documents.names("readiness/elt@3.11") == ()
    assert documents.swap(_KEY, None, b"one")
    assert not documents.swap(_KEY, None, b"two")
    assert not documents.swap(_KEY, b"two", b"three")
    assert documents.read(_KEY) == b"one"
    assert documents.swap(_KEY, b"one", b"two")
    assert documents.read(_KEY) == b"two"
    documents.delete(_KEY)
    assert not documents.swap(_KEY, b"two", b"three")


def _at_once(count: int, work: Callable[[int], object]) -> list[object]:
    """Return what comes of calls that begin at the same moment."""
    barrier = Barrier(count)

    def begin(number: int) -> object:
        barrier.wait(30)
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(begin, range(count)))


@pytest.mark.parametrize("before", [None, b"before"])
def test_of_those_who_swap_at_once_one_succeeds(documents: Documents, before: bytes | None) -> None:
    for turn in range(10):
        key = f"targets/{turn}"
        if before:
            documents.write(key, before)

        def swap(number: int, key: str = key) -> bool:
            return documents.swap(key, before, b"%d" % number)

        swapped = _at_once(4, swap)
        assert swapped.count(True) == 1
        assert documents.read(key) == b"%d" % swapped.index(True)


def test_no_move_is_lost_where_all_try_again(documents: Documents) -> None:
    documents.write(_KEY, b"0")

    def count(_: int) -> None:
        for _ in range(10):
            while not documents.swap(_KEY, seen := documents.read(_KEY), b"%d" % (int(seen) + 1)):
                pass

    _at_once(4, count)
    assert documents.read(_KEY) == b"40"


def test_a_lease_has_one_holder(documents: Documents) -> None:
    inside = []

    def hold(number: int) -> bool:
        with documents.lease("releases/elt@3.11", 30, "moving it", "Wait."):
            inside.append(number)
            alone = inside == [number]
            inside.clear()
        return alone

    assert all(_at_once(4, hold))


def test_who_waits_too_long_for_a_lease_is_told(documents: Documents) -> None:
    key = "releases/elt@3.11"
    with documents.lease(key, 0, "moving it", "Wait."), documents.lease("other", 0, "it", "Wait."):

        def wait() -> None:
            with documents.lease(key, 0, "moving it", "Wait."):
                pytest.fail("two hold it")

        with ThreadPoolExecutor(1) as pool, pytest.raises(BusyError, match="moving it") as caught:
            pool.submit(wait).result()
        assert caught.value.remedy == "Wait."
    assert documents.names("releases") == ()
    with documents.lease(key, 0, "moving it", "Wait."):
        pass


def test_a_record_is_json_of_its_type(documents: Documents) -> None:
    def read() -> dict[str, int] | None:
        return read_record(documents, _KEY, _COUNTS, "{} is no record.", "Remove it.")

    assert read() is None
    write_record(documents, _KEY, _COUNTS, {"a": 1})
    assert documents.read(_KEY) == b'{\n "a": 1\n}\n'
    assert read() == {"a": 1}
    documents.write(_KEY, "[]")
    with pytest.raises(IntegrityError) as caught:
        read()
    assert caught.value.problem == f"{documents.place(_KEY)} is no record."
    assert caught.value.remedy == "Remove it."


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "locks").write_text("")
    with pytest.raises(IntegrityError, match="cannot be read: Not a directory"):
        LocalDocuments(tmp_path).names("locks")


def test_a_directory_in_the_place_of_a_document_is_not_one(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError, match="it is a directory, not a file"):
        LocalDocuments(tmp_path).read("a.json")


def test_what_is_known_is_not_read_again(documents: Documents) -> None:
    with pytest.raises(FileNotFoundError):
        documents.read_new(_KEY, "")
    documents.write(_KEY, b"one")
    first = documents.read_new(_KEY, "")
    assert first is not None
    assert first.content == b"one"
    assert documents.read_new(_KEY, first.tag) is None
    documents.write(_KEY, b"two")
    second = documents.read_new(_KEY, first.tag)
    assert second is not None
    assert second.content == b"two"
    assert documents.read_new(_KEY, second.tag) is None


@pytest.mark.parametrize("size", [0, 9 << 20])
def test_a_large_file_is_written_and_read(documents: Documents, tmp_path: Path, size: int) -> None:
    source, copy = tmp_path / "source", tmp_path / "copy"
    source.write_bytes(random.Random(1).randbytes(size))  # noqa: S311  # no secret
    with pytest.raises(FileNotFoundError):
        documents.read_file("bundles/one.tar", copy)
    documents.write_file("bundles/one.tar", source)
    documents.read_file("bundles/one.tar", copy)
    assert copy.read_bytes() == source.read_bytes()
    assert documents.names("bundles") == ("one.tar",)


def test_what_nobody_wrote_lately_is_told_by_the_clock_of_the_store(documents: Documents) -> None:
    for key in ("bundles/elt@3.11/one.tar", "bundles/two.tar", "other/three.tar"):
        documents.write(key, "12345")
    assert documents.aged("bundles", 60.0) == ()
    found = documents.aged("bundles", -60.0)
    assert [(each.key, each.size, each.unseen) for each in found] == [
        ("bundles/elt@3.11/one.tar", 5, False),
        ("bundles/two.tar", 5, False),
    ]
    assert documents.aged("bundle", -60.0) == ()


def test_what_a_killed_writer_of_a_folder_left_is_unseen(documents: Documents) -> None:
    documents.write_folder("locks/a", {"lock.json": "whole"})
    if documents.directory is not None:
        assert not [each for each in documents.aged("locks", -60.0) if each.unseen]
        return
    left = [f"locks/.{name}-0123456789ab/lock.json" for name in ("a", "b")]
    for key in left:
        documents.write(key, "half")
    found = documents.aged("locks", -60.0)
    assert [each.key for each in found if each.unseen] == left
    assert len(found) == len(left) + 2  # what counts, and what says so
    documents.write("locks/a/.folder", "changed by hand")
    assert [each.key for each in documents.aged("locks", -60.0) if each.unseen] == left[1:]
