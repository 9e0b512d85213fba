"""A prefix on a real disk: its stages, its one builder, its removal, and what is found in it."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix, Stage
from elt_env.errors import BusyError, StorageError
from elt_env.lockfile.document import Lock
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.said import Said
from tests.support.sample import silent

_LIMIT = 20.0


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    """A prefix that is not there."""
    return Prefix(tmp_path / "prefixes" / "elt@3.11-0123", lock_of())


def at(prefix: Prefix, stage: Stage) -> Prefix:
    with prefix.reaching(stage):
        prefix.path.mkdir(exist_ok=True)
    return prefix


def with_site(place: str | None) -> Lock:
    python = python_package()
    assert python.conda is not None
    detail = dataclasses.replace(python.conda, python_site_packages_path=place)
    return lock_of(dataclasses.replace(python, conda=detail))


def test_a_stage_is_reached_when_all_of_it_was_done(prefix: Prefix) -> None:
    assert prefix.stage is Stage.ABSENT
    for stage in (Stage.LINKED, Stage.INSTALLED, Stage.READY):
        with prefix.reaching(stage):
            assert prefix.stage is Stage.ABSENT
            assert prefix.path.is_dir()
        assert prefix.stage is stage
    assert prefix.ready


def test_a_stage_that_fails_leaves_an_interrupted_prefix(prefix: Prefix) -> None:
    at(prefix, Stage.LINKED)
    with pytest.raises(KeyboardInterrupt), prefix.reaching(Stage.INSTALLED):
        raise KeyboardInterrupt
    assert prefix.path.is_dir()
    assert prefix.stage is Stage.ABSENT


def test_the_prefix_of_another_lock_has_reached_nothing(prefix: Prefix) -> None:
    at(prefix, Stage.READY)
    other = Prefix(prefix.path, lock_of(pip_package("alpha")))
    assert other.stage is Stage.ABSENT


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '"READY"', "{}", '{"stage": "DONE", "digest": ""}', "\xff"]
)
def test_a_spoiled_marker_is_none(content: str, prefix: Prefix) -> None:
    at(prefix, Stage.READY)
    (prefix.path / ".elt-env.json").write_bytes(content.encode("latin-1"))
    assert prefix.stage is Stage.ABSENT


def test_a_disk_that_refuses_is_a_storage_error(unwritable: Path) -> None:
    prefix = Prefix(unwritable / "prefix", lock_of())
    with pytest.raises(StorageError, match="cannot be written"), prefix.reaching(Stage.LINKED):
        pytest.fail("the block must not run")
    with pytest.raises(StorageError), prefix.sole_builder(0, silent):
        pytest.fail("the block must not run")


def test_a_wiped_prefix_is_gone(prefix: Prefix) -> None:
    at(prefix, Stage.READY)
    (prefix.path / "lib").mkdir()
    (prefix.path / "lib/file").touch()
    prefix.wipe()
    prefix.wipe()
    assert list(prefix.path.parent.iterdir()) == []


def test_a_wipe_clears_what_an_interrupted_one_left_and_nothing_else(prefix: Prefix) -> None:
    neighbour = at(Prefix(prefix.path.with_name("elt@3.11-4567"), prefix.lock), Stage.READY)
    for path in (prefix.path, neighbour.path):
        (path.with_name(f".removed-{path.name}") / "lib").mkdir(parents=True)

    at(prefix, Stage.LINKED).wipe()

    left = {each.name for each in prefix.path.parent.iterdir()}
    assert left == {neighbour.path.name, f".removed-{neighbour.path.name}"}


def _must_not_wait(line: str, *level: int) -> None:
    pytest.fail(f"{line} {level}")


def test_one_builder_at_a_time(prefix: Prefix) -> None:
    said = Said()
    inside = threading.Event()
    go_on = threading.Event()
    order: list[str] = []

    def first() -> None:
        with prefix.sole_builder(_LIMIT, silent):
            inside.set()
            go_on.wait(_LIMIT)
            order.append("first")

    def told(line: str, *level: int) -> None:
        said(line, *level)
        go_on.set()

    thread = threading.Thread(target=first)
    thread.start()
    assert inside.wait(_LIMIT)
    with prefix.sole_builder(_LIMIT, told):
        order.append("second")
    thread.join()

    assert order == ["first", "second"]
    assert said == [f"waiting: another process is building {prefix.path.name}"]


def test_a_builder_that_stays_too_long(prefix: Prefix) -> None:
    with (
        prefix.sole_builder(0, silent),
        pytest.raises(BusyError, match=prefix.path.name),
        prefix.sole_builder(0.3, silent),
    ):
        pytest.fail("the block must not run")
    with prefix.sole_builder(0, silent):
        pass


def test_builders_of_two_prefixes_do_not_wait(prefix: Prefix) -> None:
    other = Prefix(prefix.path.with_name("elt@3.12-0123"), prefix.lock)
    with prefix.sole_builder(0, silent), other.sole_builder(0, _must_not_wait):
        pass


def test_a_builder_that_fails_makes_room(prefix: Prefix) -> None:
    with pytest.raises(KeyboardInterrupt), prefix.sole_builder(0, silent):
        raise KeyboardInterrupt
    with prefix.sole_builder(0, _must_not_wait):
        pass


def test_site_packages_are_where_conda_says(tmp_path: Path) -> None:
    assert Prefix(tmp_path, with_site(None)).site_packages == (
        tmp_path / "lib/python3.11/site-packages"
    )
    assert Prefix(tmp_path, with_site("lib/python3.11t/site-packages")).site_packages == (
        tmp_path / "lib/python3.11t/site-packages"
    )


def test_distributions_are_found_with_and_without_metadata(prefix: Prefix) -> None:
    assert prefix.distributions() == ()
    site = prefix.site_packages
    files = {
        "Some.Name-1.0.dist-info/METADATA": "Name: Some.Name\nVersion: 1.0\n",
        "Some.Name-1.0.dist-info/RECORD": "some/name.py,,\nsome_data.txt,,\n",
        "older-2.egg-info/PKG-INFO": "Metadata-Version: 1.0\nName: older\nVersion: 2\n",
        "oldest-3-py3.11.egg-info": "Metadata-Version: 1.0\nName: oldest\nVersion: 3\n",
        "bare-4.dist-info/RECORD": "",
        "latin-5.dist-info/METADATA": "Name: latin\nVersion: 5\nAuthor: J\xf6rg\n",
        "package/part-6.dist-info/METADATA": "Name: vendored\nVersion: 6\n",
        "some/name.py": "",
        "some_data.txt": "",
    }
    for name, text in files.items():
        (site / name).parent.mkdir(parents=True, exist_ok=True)
        (site / name).write_bytes(text.encode("latin-1"))

    found = {each.name: each for each in prefix.distributions()}

    assert {name: each.version for name, each in found.items()} == {
        "some-name": "1.0",
        "older": "2",
        "oldest": "3",
        "bare-4-dist-info": "",
        "latin": "5",
    }
    assert found["some-name"].files == ("some/name.py", "some_data.txt")
    assert found["bare-4-dist-info"].files == ()
