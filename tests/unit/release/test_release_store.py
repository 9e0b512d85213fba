from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from elt_env.errors import BusyError, IntegrityError, StorageError
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store
from tests.support.releases import a_release, fake_prefix

_NAME = "elt@3.11"


@pytest.fixture
def releases(tmp_path: Path) -> ReleaseStore:
    return ReleaseStore(Store(tmp_path / "home"))


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    return fake_prefix(tmp_path / "prefix", "dbt", "python")


def append(releases: ReleaseStore, prefix: Path, *new: Release) -> None:
    for each in new:
        releases.prepare(each, prefix)
        releases.switch(each)


def test_before_the_first_release_there_is_nothing(releases: ReleaseStore) -> None:
    assert releases.current(_NAME) is None
    assert releases.previous(_NAME) is None
    assert releases.history(_NAME) == ()
    assert releases.targets() == ()


def test_the_history_are_all_releases_as_they_were(releases: ReleaseStore, prefix: Path) -> None:
    made = [a_release(1, "a"), a_release(2, "b", image="sha256:1"), a_release(3, "b")]
    append(releases, prefix, *made)
    assert releases.history(_NAME) == tuple(made)
    assert releases.current(_NAME) == made[-1]
    assert releases.previous(_NAME) == made[0]
    assert releases.targets() == (_NAME,)
    assert releases.entry_points(_NAME) == releases._home / "current" / _NAME / "bin"
    assert {each.name for each in releases.entry_points(_NAME).iterdir()} == {"dbt", "python"}


def test_for_the_one_before_no_other_is_read(releases: ReleaseStore, prefix: Path) -> None:
    made = [a_release(1, "a"), a_release(2, "b"), a_release(3, "c"), a_release(4, "c")]
    append(releases, prefix, *made)
    for each in releases._home.glob("releases/**/*1/release.json"):
        each.unlink()
    for each in releases._home.glob("releases/.records/*/*1.json"):
        each.write_text("no record")
    assert releases.previous(_NAME) == made[1]
    with pytest.raises(IntegrityError):
        releases.history(_NAME)


def test_the_pointer_is_a_relative_link(releases: ReleaseStore, prefix: Path) -> None:
    append(releases, prefix, a_release(1, "a"))
    link = releases._home / "current" / _NAME
    assert str(link.readlink()) == f"../releases/{_NAME}/000001"


def test_what_was_prepared_is_not_released(releases: ReleaseStore, prefix: Path) -> None:
    releases.prepare(a_release(1, "a"), prefix)
    assert releases.current(_NAME) is None
    assert releases.history(_NAME) == ()
    append(releases, prefix, a_release(1, "b"))
    releases.prepare(a_release(2, "c"), prefix)
    assert [each.digest[-1] for each in releases.history(_NAME)] == ["b"]
    append(releases, prefix, a_release(2, "d"))
    assert [each.digest[-1] for each in releases.history(_NAME)] == ["b", "d"]


def test_what_an_interrupted_move_left_is_in_nobodys_way(
    releases: ReleaseStore, prefix: Path
) -> None:
    append(releases, prefix, a_release(1, "a"))
    (releases._home / "releases" / _NAME / ".new-000002" / "bin").mkdir(parents=True)
    (releases._home / "releases" / _NAME / ".removed-000002" / "bin").mkdir(parents=True)
    (releases._home / "current" / f".{_NAME}").symlink_to("nowhere")
    assert releases.targets() == (_NAME,)
    append(releases, prefix, a_release(2, "b"))
    assert [each.number for each in releases.history(_NAME)] == [1, 2]
    assert sorted(each.name for each in (releases._home / "releases" / _NAME).iterdir()) == [
        "000001",
        "000002",
    ]
    assert [each.name for each in (releases._home / "current").iterdir()] == [_NAME]


def test_a_release_never_changes(releases: ReleaseStore, prefix: Path) -> None:
    append(releases, prefix, a_release(1, "a"))
    before = content(releases._home / "releases" / _NAME / "000001")
    append(releases, prefix, a_release(2, "b"), a_release(3, "a"))
    assert content(releases._home / "releases" / _NAME / "000001") == before


def content(directory: Path) -> dict[str, bytes]:
    files = (each for each in directory.rglob("*") if each.is_file())
    return {str(each.relative_to(directory)): each.read_bytes() for each in files}


def test_a_lost_pointer_is_not_taken_for_no_release(releases: ReleaseStore, prefix: Path) -> None:
    append(releases, prefix, a_release(1, "a"), a_release(2, "b"))
    (releases._home / "current" / _NAME).unlink()
    for look in (releases.current, releases.history, releases.previous):
        with pytest.raises(IntegrityError, match="is gone; the newest one is 2") as raised:
            look(_NAME)
    assert raised.value.remedy.endswith(
        f"ln -sfn ../releases/{_NAME}/000002 {releases._home}/current/{_NAME}"
    )
    assert releases.targets() == (_NAME,)
    assert str(releases.lead(_NAME)) == f"release: current/{_NAME} is gone"
    assert releases.current(_NAME) == a_release(2, "b")


@pytest.mark.parametrize("goal", ["../elsewhere", f"../releases/{_NAME}/latest", "000001"])
def test_a_pointer_to_no_release(releases: ReleaseStore, prefix: Path, goal: str) -> None:
    append(releases, prefix, a_release(1, "a"))
    pointer = releases._home / "current" / _NAME
    pointer.unlink()
    pointer.symlink_to(goal)
    with pytest.raises(IntegrityError, match="is no release of"):
        releases.current(_NAME)


def test_a_pointer_that_is_a_directory(releases: ReleaseStore, prefix: Path) -> None:
    append(releases, prefix, a_release(1, "a"))
    pointer = releases._home / "current" / _NAME
    pointer.unlink()
    pointer.mkdir()
    with pytest.raises(IntegrityError, match="is no link"):
        releases.current(_NAME)


def test_a_pointer_that_was_set_back_by_hand_costs_no_history(
    releases: ReleaseStore, prefix: Path
) -> None:
    append(releases, prefix, *(a_release(number, "a") for number in (1, 2, 3)))
    pointer = releases._home / "current" / _NAME
    pointer.unlink()
    pointer.symlink_to(f"../releases/{_NAME}/000001")
    with pytest.raises(IntegrityError, match="set to an older one by hand"):
        releases.prepare(a_release(2, "b"), prefix)
    pointer.unlink()
    pointer.symlink_to(f"../releases/{_NAME}/000003")
    assert len(releases.history(_NAME)) == 3


@pytest.mark.parametrize("damage", ["", "{", '{"number": 1}', "[]"])
def test_a_damaged_record_is_named(releases: ReleaseStore, prefix: Path, damage: str) -> None:
    append(releases, prefix, a_release(1, "a"), a_release(2, "b"))
    path = releases._home / "releases" / _NAME / "000001" / "release.json"
    path.write_text(damage)
    assert releases.history(_NAME)[0] == a_release(1, "a")  # as it was kept once more
    copy = releases._home / "releases" / ".records" / _NAME / "000001.json"
    copy.write_text(damage)
    with pytest.raises(IntegrityError, match="cannot be read") as raised:
        releases.history(_NAME)
    assert str(path) in raised.value.problem
    assert releases.current(_NAME) == a_release(2, "b")
    shutil.rmtree(path.parent)  # as the remedy says
    copy.unlink()
    assert [each.number for each in releases.history(_NAME)] == [2]


def test_the_record_can_be_read_by_others(releases: ReleaseStore, prefix: Path) -> None:
    append(releases, prefix, a_release(1, "a"))
    path = releases._home / "current" / _NAME / "release.json"
    assert json.loads(path.read_text()) == {
        "number": 1,
        "target": _NAME,
        "digest": "sha256:" + "a" * 64,
        "image": None,
        "at": "2026-05-04T04:02:01Z",
        "action": "promoted",
        "trigger": "reason 1",
        "by": "elt-env promote",
        "evidence": {"pip_check": "passed"},
    }


def test_one_mover_at_a_time(releases: ReleaseStore) -> None:
    with releases.sole_mover(_NAME, 1):
        with pytest.raises(BusyError, match=_NAME), releases.sole_mover(_NAME, 0.1):
            pass
        with releases.sole_mover("elt@3.12", 0.1):
            pass


def test_a_store_that_cannot_be_written(releases: ReleaseStore) -> None:
    releases._home.write_text("a file")
    with pytest.raises(StorageError), releases.sole_mover(_NAME, 1):
        pass
