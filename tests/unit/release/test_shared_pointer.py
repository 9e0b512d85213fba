"""The pointer to a release that several machines move."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier

import pytest

from elt_env.errors import BusyError, IntegrityError, StoreUnreachableError
from elt_env.release.record import Release
from elt_env.release.shared_pointer import SharedPointer
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store
from tests.support.bucket import MemoryDocuments
from tests.support.locks import TARGET
from tests.support.releases import a_release, fake_prefix

_NAME = TARGET.name
_POINTER = f"releases/.current/{_NAME}.json"


@dataclass(frozen=True)
class _Dying(MemoryDocuments):
    """Documents of a process that dies before it writes what is named so."""

    before: list[str] = field(default_factory=list)

    def swap(self, key: str, old: bytes | None, new: bytes) -> bool:
        if any(key.startswith(each) for each in self.before):
            raise StoreUnreachableError("It died.", "Nothing.")
        return super().swap(key, old, new)


def _releases(documents: MemoryDocuments, home: Path) -> ReleaseStore:
    return ReleaseStore(Store(home, documents=documents))


def _move(releases: ReleaseStore, release: Release, home: Path) -> None:
    releases.prepare(release, fake_prefix(home / "prefix", "tool"))
    releases.switch(release)


def test_of_two_who_move_it_at_once_one_is_told(tmp_path: Path) -> None:
    documents, both = MemoryDocuments(), Barrier(2)

    def move(letter: str) -> str:
        releases = _releases(documents, tmp_path / letter)
        release = a_release(1, letter)
        releases.prepare(release, fake_prefix(tmp_path / letter / "prefix", "tool"))
        both.wait(30)
        try:
            releases.switch(release)
        except BusyError:
            return ""
        return letter

    with ThreadPoolExecutor(2) as pool:
        moved = sorted(pool.map(move, "ab"))
    assert moved[0] == ""
    (left,) = _releases(documents, tmp_path / "c").history(_NAME)
    assert left == a_release(1, moved[1])


def test_a_mover_that_died_after_the_move_has_moved(tmp_path: Path) -> None:
    documents = _Dying(before=["releases/.records"])
    one = _releases(documents, tmp_path / "one")
    with pytest.raises(StoreUnreachableError):
        _move(one, a_release(1, "a"), tmp_path / "one")
    other = _releases(documents, tmp_path / "other")
    assert other.current(_NAME) == a_release(1, "a")
    assert other.history(_NAME) == (a_release(1, "a"),)
    documents.before.clear()
    _move(other, a_release(2, "b"), tmp_path / "other")
    assert other.history(_NAME) == (a_release(1, "a"), a_release(2, "b"))
    assert one.history(_NAME) == other.history(_NAME)
    assert one.previous(_NAME) == a_release(1, "a")


def test_a_mover_that_died_before_the_move_has_not_moved(tmp_path: Path) -> None:
    documents = _Dying(before=["releases/.current"])
    releases = _releases(documents, tmp_path)
    with pytest.raises(StoreUnreachableError):
        _move(releases, a_release(1, "a"), tmp_path)
    assert releases.current(_NAME) is None
    documents.before.clear()
    _move(releases, a_release(1, "b"), tmp_path)
    assert releases.history(_NAME) == (a_release(1, "b"),)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "changed by hand"), (b"[]", "changed by hand"), (b'{"number": 1}', "changed by hand")],
)
def test_a_pointer_that_was_changed_is_refused_and_restored(
    tmp_path: Path, content: bytes, said: str
) -> None:
    documents = MemoryDocuments()
    releases = _releases(documents, tmp_path)
    for number, letter in ((1, "a"), (2, "b")):
        _move(releases, a_release(number, letter), tmp_path)
    good = documents.read(_POINTER)
    assert releases.lead(_NAME) is None
    documents.write(_POINTER, content)
    with pytest.raises(IntegrityError, match=said):
        releases.current(_NAME)
    assert releases.lead(_NAME) is not None
    assert documents.read(_POINTER) == good
    documents.delete(_POINTER)
    with pytest.raises(IntegrityError, match="is gone"):
        releases.history(_NAME)
    assert releases.lead(_NAME) is not None
    assert documents.read(_POINTER) == good


def test_a_record_of_another_target_is_none(tmp_path: Path) -> None:
    documents = MemoryDocuments()
    _move(_releases(documents, tmp_path), a_release(1, "a"), tmp_path)
    documents.write("releases/.current/elt@3.10.json", documents.read(_POINTER))
    with pytest.raises(IntegrityError, match="is one of"):
        SharedPointer(documents).release("elt@3.10")


def test_a_record_that_is_gone_or_changed_is_told(tmp_path: Path) -> None:
    documents = MemoryDocuments()
    releases = _releases(documents, tmp_path)
    for number, letter in ((1, "a"), (2, "b")):
        _move(releases, a_release(number, letter), tmp_path)
    key = f"releases/.records/{_NAME}/000001.json"
    documents.write(key, b"{}")
    with pytest.raises(IntegrityError, match="gone or was changed"):
        releases.history(_NAME)
    documents.delete(key)
    with pytest.raises(IntegrityError, match="gone or was changed"):
        releases.history(_NAME)


def test_entry_points_of_another_machine_are_no_damage(tmp_path: Path) -> None:
    documents = MemoryDocuments()
    one, two = (_releases(documents, tmp_path / each) for each in ("one", "two"))
    release = a_release(1, "a")
    _move(one, release, tmp_path / "one")
    prefix = fake_prefix(tmp_path / "two" / "prefix", "tool")
    assert one.damages(release, tmp_path / "one" / "prefix") == ()
    assert two.damages(release, prefix) == ()
    assert two.mend(release, prefix)
    assert two.mend(release, prefix) == ()
    assert (two.entry_points(_NAME) / "tool").is_file()
    (two.entry_points(_NAME) / "tool").unlink()
    assert [each.fault for each in two.damages(release, prefix)] == ["is gone"]


def test_a_history_of_thousands_asks_for_each_once(tmp_path: Path) -> None:
    documents = MemoryDocuments()
    pointer = SharedPointer(documents)
    for number in range(1, 1001):
        pointer.move(a_release(number, "ab"[number % 2]))
    assert [each.number for each in pointer.history(_NAME)] == list(range(1, 1001))
    before = pointer.previous(_NAME)
    assert before is not None
    assert before.number == 999
    assert _releases(documents, tmp_path).targets() == (_NAME,)
