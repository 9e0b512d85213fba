"""One store in a bucket, and two machines: each has a home of its own, and no more."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import dagster as dg
import pytest

from elt_env.definitions import project_definitions
from elt_env.defs.resources import EltProject
from elt_env.project.settings import open_project
from elt_env.store.bucket import BucketDocuments
from tests.support.channel import Channel
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.machine import Machine
from tests.support.s3_server import SECRET, S3Server, new_prefix
from tests.support.terminal import LIMIT, make_terminal

pytestmark = pytest.mark.xdist_group("s3")


@dataclass(frozen=True)
class World:
    one: Machine
    two: Machine
    bucket: BucketDocuments


@pytest.fixture(scope="module")
def world(
    shared_python: Channel, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """Two machines; on the first one, two locks were built and released."""
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        root = tmp_path_factory.mktemp("shared")
        terminal = make_terminal(root, shared_python, index)
        prefix = new_prefix()
        variables = {**s3.variables(), "ELT_ENV_HOME": f"s3://elt/{prefix}"}
        project = terminal.site.directory
        shutil.copytree(project, root / "checkout")
        one = Machine(terminal, root / "one", project, variables)
        two = Machine(terminal, root / "two", root / "checkout", variables)
        one.ok("build", one.target)
        terminal.offer("part", "1.1")
        one.ok("relock", one.target, "-P", "part")
        one.ok("build", one.target)
        yield World(one, two, BucketDocuments(s3.bucket(prefix), f"s3://elt/{prefix}"))


def held(machine: Machine) -> dict[str, str]:
    """Return when each check held last."""
    evidence = machine.show()["evidence"]
    return {each["check"]: each["at"] for each in evidence if each["status"] == "passed"}


def test_what_one_releases_the_other_sees(world: World) -> None:
    shown, seen = world.one.show(), world.two.show()
    assert seen["release"]["current"] == shown["lock"]["digest"]
    assert seen["release"]["previous"] == world.one.history()[0]["digest"]
    assert world.two.history() == world.one.history()
    assert [each["check"] for each in seen["evidence"]] == [
        each["check"] for each in shown["evidence"]
    ]
    assert seen["evidence"]
    assert not seen["prefix"]["ready"]
    assert shown["prefix"]["ready"]
    assert seen["lock"]["path"].startswith("s3://elt/")


def test_nothing_of_the_store_lies_on_a_machine(world: World) -> None:
    there = {each.name for each in world.one.home.iterdir()}
    assert there.isdisjoint({"locks", "targets", "evidence", "diffs", "project.json"})
    assert not (world.one.home / "releases" / ".records").exists()


def test_another_machine_is_brought_to_the_release_by_a_build(world: World) -> None:
    before, proven = world.one.history(), held(world.one)
    world.two.ok("build", world.two.target)
    # What was proven on one machine is not proven again on the next.
    assert held(world.two) == proven
    assert world.two.show()["release"]["current"] == world.one.show()["release"]["current"]
    assert len(world.one.history()) == len(before)
    assert world.two.runs().startswith(str(world.two.home))


def test_back_from_another_machine_and_forward_again(world: World) -> None:
    good, bad = world.one.history()[0]["digest"], world.one.show()["release"]["current"]
    running = world.one.runs()
    world.two.ok("rollback", world.two.target, "--why", "it fails")
    assert world.one.show()["release"]["current"] == good
    assert world.one.history()[-1]["trigger"] == "it fails"
    assert good[7:19] in world.two.runs()
    # What runs on the first machine stays until it is brought to the release.
    assert world.one.runs() == running
    world.one.ok("rollback", world.one.target, "--to", good)
    assert good[7:19] in world.one.runs()
    world.one.ok("promote", world.one.target)
    assert world.two.show()["release"]["current"] == bad
    numbers = [each["number"] for each in world.two.history()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_two_who_move_the_release_at_once(world: World) -> None:
    before = world.one.history()
    first, last = before[0]["digest"], before[-1]["digest"]
    moves = [
        world.one.started("rollback", world.one.target, "--to", first),
        world.two.started("promote", world.two.target),
    ]
    told = [each.communicate(timeout=LIMIT)[0] for each in moves]
    # One waits for the other; who sees that the release has moved meanwhile is told so.
    assert {each.returncode for each in moves} <= {0, 7}, told
    assert 0 in {each.returncode for each in moves}, told
    after = world.two.history()
    assert after[: len(before)] == before
    assert [each["number"] for each in after] == list(range(1, len(after) + 1))
    assert {each["digest"] for each in after[len(before) :]} <= {first, last}
    for machine in (world.one, world.two):
        assert machine.history() == after
        assert machine.show()["release"]["current"] == after[-1]["digest"]
    world.one.ok("promote", world.one.target)


def test_verify_and_collect(world: World) -> None:
    world.one.ok("verify", world.one.target)
    world.two.ok("verify", world.two.target)
    world.one.ok("gc")
    world.one.ok("image", world.one.target)
    assert world.two.show()["image"] is not None
    world.two.ok("verify", world.two.target)
    world.two.ok("gc")
    assert world.one.show()["image"] is not None


def test_a_lock_is_named_by_its_place_in_the_bucket(world: World) -> None:
    lock = world.one.show()["lock"]
    before = world.one.history()[-1]["digest"]
    told = world.one.ok("build", world.one.target, "--no-promote", "--lock", lock["path"])
    assert "fetched from" not in told
    assert world.one.show()["lock"]["digest"] == lock["digest"]
    assert world.one.history()[-1]["digest"] == before
    missing = f"{world.bucket.url}/locks/{'0' * 64}"
    assert world.one.typed("build", world.one.target, "--lock", missing).exit_code == 5


def test_a_lock_that_was_changed_in_the_bucket_is_refused(world: World) -> None:
    place = world.one.show()["lock"]["path"]
    key = f"{place.removeprefix(world.bucket.url + '/')}/pylock.toml"
    content = world.bucket.read(key)
    world.bucket.write(key, content.replace(b"part", b"trap"))
    try:
        for machine in (world.one, world.two):
            refused = machine.typed("build", machine.target)
            assert refused.exit_code == 5
            assert key in refused.output
            assert f"elt-env relock {machine.target}" in refused.output
    finally:
        world.bucket.write(key, content)


def test_a_release_that_was_changed_in_the_bucket_is_refused(world: World) -> None:
    key = f"releases/.current/{world.one.target}.json"
    content = world.bucket.read(key)
    first, last = (world.one.history()[each]["digest"] for each in (0, -1))
    world.bucket.write(key, content.replace(last.encode(), first.encode()))
    refused = world.two.typed("show", world.two.target)
    assert refused.exit_code == 5
    assert f"elt-env verify {world.two.target} --repair" in refused.output
    world.two.ok("verify", world.two.target, "--repair")
    assert world.bucket.read(key) == content


def test_a_bucket_that_refuses_says_so_without_the_secret(world: World) -> None:
    wrong = f"not-{SECRET}"
    refused = world.two.typed("show", world.two.target, AWS_SECRET_ACCESS_KEY=wrong)
    assert refused.exit_code == 6
    assert "AWS_SECRET_ACCESS_KEY" in refused.output
    assert wrong not in refused.output


def test_a_run_of_dagster_takes_what_another_machine_made(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A build of Dagster's packs the image too, and what has one is another release.
    world.one.ok("image", world.one.target)
    world.one.ok("build", world.one.target)
    before, proven = world.one.history(), held(world.one)
    worker = replace(world.two, caches=tmp_path / "worker")
    for name, value in worker.environment.items():
        monkeypatch.setenv(name, value)
    project = open_project(worker.project)
    job = project_definitions(project).resolve_job_def("elt_build")
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        done = job.execute_in_process(
            instance=instance,
            resources={"project": EltProject(directory=str(project.root))},
            partition_key=worker.terminal.python,
        )
        assert done.success
        events = str([each.message for each in done.all_events])
    assert SECRET not in events
    assert world.one.history() == before
    assert held(world.one) == proven
    assert worker.runs().startswith(str(worker.home))


def test_a_team_moves_to_another_place_and_back(world: World, tmp_path: Path) -> None:
    url, other = world.two.variables["ELT_ENV_HOME"], f"s3://elt/{new_prefix()}"
    place = tmp_path / "store"
    world.two.ok("build", world.two.target)  # with the image that was packed meanwhile
    assert ", 0 were there" in world.two.ok("store", "copy", url, str(place))
    world.two.ok("store", "copy", str(place), other)
    assert "0 documents copied" in world.two.ok("store", "copy", str(place), other)
    for home in (str(place), other):
        variables = {**world.two.variables, "ELT_ENV_HOME": home}
        moved = replace(world.two, caches=tmp_path / "caches", variables=variables)
        assert moved.history() == world.two.history()
        assert held(moved) == held(world.two)
        moved.ok("build", moved.target)
        assert moved.history() == world.two.history()
        entry_points = Path(moved.show()["release"]["entry_points"])
        assert (entry_points / "python").exists()


def test_another_project_is_refused(world: World, tmp_path: Path) -> None:
    shutil.copytree(world.two.project, tmp_path / "other")
    with (tmp_path / "other" / "pyproject.toml").open("a") as policy:
        policy.write("\n# another one\n")
    other = Machine(world.two.terminal, tmp_path / "home", tmp_path / "other", world.two.variables)
    refused = other.typed("show", other.target)
    assert refused.exit_code == 2
    assert "belongs to the project" in refused.output
    assert "project-name" in refused.output
