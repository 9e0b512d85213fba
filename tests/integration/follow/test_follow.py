"""Machines that follow a release in a bucket, each an empty directory at first."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from elt_env.follow.reports import machine_id, read_reports
from elt_env.store.bucket import BucketDocuments
from tests.support.channel import Channel
from tests.support.follower import Follower
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import Reply, running
from tests.support.registry_proxy import FaultProxy
from tests.support.s3_server import S3Server, new_prefix
from tests.support.terminal import LIMIT, Terminal, make_terminal

pytestmark = pytest.mark.xdist_group("s3")


@dataclass(frozen=True)
class Fleet:
    """Where releases are made, and machines that follow.

    Attributes:
        terminal: of the project.
        url: of its store, in a bucket.
        proxy: between the followers and the bucket; it counts what they ask.
    """

    terminal: Terminal
    url: str
    bucket: BucketDocuments
    s3: S3Server
    proxy: FaultProxy

    @property
    def target(self) -> str:
        return self.terminal.target

    def typed(self, *arguments: str, **more: str) -> str:
        variables = {**self.s3.variables(), "ELT_ENV_HOME": self.url, **more}
        done = self.terminal.type(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def release(self, version: str, **more: str) -> str:
        """Release a newer `part`, and return the digest of its lock."""
        self.terminal.offer("part", version)
        self.typed("relock", self.target, "-P", "part")
        self.typed("build", self.target, **more)
        shown = json.loads(self.typed("show", self.target, "--json"))
        return str(shown["release"]["current"])


@pytest.fixture(scope="module")
def fleet(
    shared_python: Channel, s3: S3Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Fleet]:
    with (
        pytest.MonkeyPatch.context() as patch,
        running(IndexServer()) as index,
        FaultProxy(s3.host) as proxy,
    ):
        clear_settings(patch, keep_registry=False)
        terminal = make_terminal(tmp_path_factory.mktemp("fleet"), shared_python, index)
        prefix = new_prefix()
        url = f"s3://elt/{prefix}"
        fleet = Fleet(terminal, url, BucketDocuments(s3.bucket(prefix), url), s3, proxy)
        fleet.typed("build", fleet.target)
        yield fleet


@pytest.fixture
def follower(fleet: Fleet, tmp_path: Path) -> Follower:
    login = fleet.s3.variables(fleet.proxy.host)
    return Follower(tmp_path / "machine", fleet.target, fleet.url, login)


def test_an_empty_directory_comes_to_run_what_is_released(fleet: Fleet, follower: Follower) -> None:
    assert "release 1" in follower.followed()
    first = follower.runs()
    assert first.startswith(str(follower.home))
    digest = fleet.release("1.1")
    follower.followed()
    assert digest[7:19] in follower.runs()
    # What belongs to a release works where nobody can ask the bucket.
    shown = json.loads(follower.typed("show", fleet.target, "--json").stdout)
    assert shown["release"]["current"] == digest
    assert shown["prefix"]["ready"]
    assert follower.typed("verify", fleet.target).exit_code == 0
    links = follower.directory / "links"
    assert follower.typed("expose", fleet.target, "tool", "--to", str(links)).exit_code == 0
    assert (links / "tool").exists()


def test_nothing_new_costs_one_small_request(fleet: Fleet, follower: Follower) -> None:
    follower.followed("--check", "none")
    fleet.proxy.asked.clear()
    assert "nothing is new" in follower.followed()
    [asked] = fleet.proxy.asked
    assert (asked.method, "releases/.current" in asked.path) == ("GET", True)


def test_what_a_process_runs_in_stays_until_it_ends(fleet: Fleet, follower: Follower) -> None:
    follower.followed("--check", "none")
    old = Path(follower.runs())
    program = follower.home / "current" / fleet.target / "bin" / "python"
    with subprocess.Popen([program, "-c", "input()"], stdin=subprocess.PIPE) as process:
        fleet.release(f"1.{len(os.fspath(follower.directory))}")
        assert "a process runs in it" in follower.followed("--check", "none")
        age(old)
        follower.followed("--check", "none")
        assert old.is_dir()
        process.communicate(b"\n", timeout=LIMIT)
    age(old)
    follower.followed("--check", "none")
    assert not old.exists()
    launchers = follower.home / "releases" / fleet.target
    assert [each.name for each in launchers.iterdir() if each.name[0] != "."] == [
        (follower.home / "current" / fleet.target).resolve().name
    ]
    assert follower.typed("history", fleet.target).exit_code == 0


def age(prefix: Path) -> None:
    """Let a prefix be one that nobody used for an hour."""
    marker = prefix / ".elt-env.json"
    if marker.exists():
        os.utime(marker, (marker.stat().st_mtime - 3600,) * 2)


def test_a_lock_that_was_changed_by_hand_is_refused(fleet: Fleet, follower: Follower) -> None:
    shown = json.loads(fleet.typed("show", fleet.target, "--json"))
    key = f"{shown['lock']['path'].removeprefix(fleet.url + '/')}/lock.json"
    content = fleet.bucket.read(key)
    fleet.bucket.write(key, content.replace(b'"part"', b'"trap"'))
    try:
        refused = follower.follow()
        assert refused.exit_code == 5
        assert key in refused.output
        assert not (follower.home / "current").exists()
    finally:
        fleet.bucket.write(key, content)
    follower.followed("--check", "none")


def test_where_no_index_answers_the_bundle_is_taken(fleet: Fleet, follower: Follower) -> None:
    fleet.typed("build", fleet.target, "--no-promote")
    index = fleet.terminal.index
    index.fault = "500"
    try:
        refused = follower.follow("--check", "none")
        assert refused.exit_code == 4
        assert "there is none" in refused.output
        assert not (follower.home / "current").exists()
        place = fleet.typed("bundle", fleet.target, "--to-store").strip()
        assert place.startswith(f"{fleet.url}/bundles/{fleet.target}/")
        fleet.proxy.asked.clear()
        follower.followed()
    finally:
        index.fault = None
    assert follower.runs()
    assert [each for each in fleet.proxy.asked if "/bundles/" in each.path]
    assert not [*(follower.home / "work").iterdir()]


def test_no_dagster_is_imported(fleet: Fleet, follower: Follower) -> None:
    follower.followed("--check", "none")
    script = (
        "import sys\nfrom elt_env.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "print([each for each in sys.modules if each.partition('.')[0].startswith('dagster')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "follow", fleet.target, "--from", fleet.url],
        env=follower.environment,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_service_goes_on_until_it_is_told_to_end(fleet: Fleet, follower: Follower) -> None:
    follower.directory.mkdir()
    options = ("--check", "none", "--watch", "--interval", "1 second")
    command = Terminal.command("follow", fleet.target, "--from", fleet.url, *options)
    with subprocess.Popen(
        command, env=follower.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(f"{fleet.target} sha256:")
        fleet.proxy.faults.extend([Reply(403, b"")] * 2)  # it tells that, and goes on
        digest = fleet.release("2.0", ELT_ENV_ENVIRONMENTS__ELT__PUBLISH_BUNDLE="true")
        assert digest in process.stdout.readline()
        process.terminate()
        _, said = process.communicate(timeout=LIMIT)
    assert process.returncode == 0
    assert "refuses" in said
    assert "ended, as told" in said
    assert digest[7:19] in follower.runs()
    assert f"{digest[7:]}.tar" in fleet.bucket.names(f"bundles/{fleet.target}")


def test_what_came_of_it_is_reported(fleet: Fleet, follower: Follower) -> None:
    follower.followed("--check", "none", "--machine", "one")
    [report] = read_reports(fleet.target, fleet.bucket, [machine_id("one")])
    shown = json.loads(fleet.typed("show", fleet.target, "--json"))
    assert (report.state, report.detail) == ("runs", "")
    assert report.number == report.running
    assert shown["release"]["current"].startswith("sha256:")
    text = fleet.typed("metrics")
    assert f'elt_env_followers{{state="runs",target="{fleet.target}"}}' in text
    assert "one" not in fleet.bucket.names(f"followers/{fleet.target}")
