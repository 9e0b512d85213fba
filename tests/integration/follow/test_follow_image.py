"""Machines that follow the image of a release, from a registry or from the layout of a store."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from elt_env.errors import InputError, IntegrityError
from elt_env.follow.as_image import AsImage
from elt_env.follow.follow import follow
from elt_env.follow.machine import Machine
from elt_env.image.oci import engines
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import short
from elt_env.release.promote import promote
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.channel import Channel
from tests.support.follower import Follower
from tests.support.index_server import IndexServer
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.loopback import Reply
from tests.support.mover import mover
from tests.support.proving import prepare, pretend_packed, toolbox_at
from tests.support.registry_proxy import FaultProxy
from tests.support.registry_server import docker_registry, needs_registry
from tests.support.s3_server import S3Server, new_prefix
from tests.support.sample import silent
from tests.support.terminal import LIMIT, Terminal, make_terminal

pytestmark = pytest.mark.xdist_group("s3")

_OLD, _NEW = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET, _NAME = _OLD.target, "elt-3.11"
_NEVER = 100_000  # changes


@dataclass(frozen=True)
class Office:
    """Where images are released.

    Attributes:
        url: of the store, in a bucket.
        proxy: between all machines and the registry.
    """

    terminal: Terminal
    url: str
    s3: S3Server
    proxy: FaultProxy

    def typed(self, *arguments: str) -> str:
        variables = {
            **self.s3.variables(),
            "ELT_ENV_HOME": self.url,
            "ELT_ENV_IMAGE_BASE": "host",
            "ELT_ENV_ENVIRONMENTS__ELT__PUSH": f"{self.proxy.host}/team/elt:live",
        }
        done = self.terminal.type(*arguments, **variables)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def release(self, version: str = "") -> str:
        """Release a newer `part`, if one is named; return the digest of the image."""
        target = self.terminal.target
        if version:
            self.terminal.offer("part", version)
            self.typed("relock", target, "-P", "part")
        for each in (("build", "--no-promote"), ("image",), ("promote",)):
            self.typed(each[0], target, *each[1:])
        return str(json.loads(self.typed("show", target, "--json"))["release"]["image"])


@pytest.fixture
def office(
    shared_python: Channel, index: IndexServer, s3: S3Server, tmp_path: Path
) -> Iterator[Office]:
    with (
        docker_registry(tmp_path / "registry") as registry,
        FaultProxy(registry) as proxy,
    ):
        terminal = make_terminal(tmp_path / "office", shared_python, index)
        yield Office(terminal, f"s3://elt/{new_prefix()}", s3, proxy)


def _seen(follower: Follower, name: str = "") -> str:
    """Return the digest of what a name in the layout leads to, as skopeo finds it."""
    name = name or follower.target.replace("@", "-")
    command = ("skopeo", "inspect", "--no-tags", "--format", "{{.Digest}}")
    done = subprocess.run(
        [*command, f"oci:{follower.home / 'oci'}:{name}"],
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    return done.stdout.strip()


@needs_registry
def test_the_image_of_a_release_is_pulled_and_the_name_moves_to_it(
    office: Office, tmp_path: Path
) -> None:
    target, first = office.terminal.target, office.release()
    follower = Follower(tmp_path / "machine", target, office.url, office.s3.variables())
    assert "image_runs" in follower.followed("--image", "--check", "full")
    assert _seen(follower) == first
    office.proxy.asked.clear()
    assert "nothing is new" in follower.followed("--image")
    assert not office.proxy.asked
    script = "import sys, part; print(sys.prefix)"
    ran = follower.typed("run-image", target, "--", "python", "-c", script)
    assert ran.exit_code == 0, ran.output

    second = office.release("1.1")
    # A registry that refuses, or has other bytes, leaves the machine with what it runs.
    office.proxy.faults.extend([Reply(403, b"")] * 100)
    assert follower.follow("--image").exit_code != 0
    office.proxy.faults.clear()
    assert _seen(follower) == first
    assert second in follower.followed("--image")
    assert _seen(follower) == second
    # What ran before is there until somebody asks for its removal.
    old = json.loads(office.typed("history", target, "--json"))["releases"][0]["digest"]
    assert _seen(follower, f"{target.replace('@', '-')}-{short(old)}") == first


@pytest.fixture
def source(tmp_path: Path) -> Tools:
    """A project whose store, a directory, has the image of each release."""
    source = toolbox_at(tmp_path / "project")
    (tmp_path / "follower").mkdir()
    (tmp_path / "follower" / "source").symlink_to(source.store.local_home)
    return source


@pytest.fixture
def machine(source: Tools, tmp_path: Path) -> Machine:
    own, place = toolbox_at(tmp_path / "follower"), tmp_path / "follower" / "source"
    assert source
    return Machine(_TARGET, Store(place), own, "0" * 16)


def _release(lock: Lock, source: Tools, *, labelled: Lock | None = None) -> str | None:
    prepare(lock, source)
    pretend_packed(lock, source, seed=int(lock == _NEW), labelled=labelled or lock)
    return promote(_TARGET, source, silent, trigger="", by="").release.image


def _led(machine: Machine) -> str | None:
    found = ImageStore(machine.own).layout.find(_NAME)
    return found.digest if found else None


def test_killed_at_each_change_the_name_leads_to_a_whole_image_and_the_next_run_goes_on(
    machine: Machine, source: Tools, tmp_path: Path
) -> None:
    before, change = None, 1
    with mover(tmp_path / "follower") as moves:
        for lock in (_OLD, _NEW):
            after = _release(lock, source)
            while moves.killed("follow-image", change):
                layout = ImageStore(machine.own).layout
                led = layout.find(_NAME)
                assert (led.digest if led else None) in (before, after)
                assert led is None or layout.intact(led)
                change += 1
            assert change > 10
            assert _led(machine) == after
            before, change = after, 1


@pytest.mark.skipif(shutil.which("buildah") is None, reason="needs buildah")
def test_an_engine_has_the_image_as_well(
    machine: Machine, source: Tools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = ("--root", str(tmp_path / "storage"), "--runroot", str(tmp_path / "run"))
    monkeypatch.setattr(
        engines, "Engine", partial(engines.Engine, options=(*root, "--storage-driver", "vfs"))
    )
    image = _release(_OLD, source)
    follow(machine, silent, AsImage("none", "buildah"))
    assert engines.Engine("buildah").digest(_NAME) == image


def test_an_image_of_another_lock_is_refused(machine: Machine, source: Tools) -> None:
    image = _release(_OLD, source)
    follow(machine, silent, AsImage("none"))
    _release(_NEW, source, labelled=_OLD)
    with pytest.raises(IntegrityError, match="is of the lock"):
        follow(machine, silent, AsImage("none"))
    assert _led(machine) == image


def test_a_release_without_an_image_and_one_that_no_registry_has(
    machine: Machine, source: Tools
) -> None:
    prepare(_OLD, source)
    promote(_TARGET, source, silent, trigger="", by="")
    with pytest.raises(InputError, match="has no image"):
        follow(machine, silent, AsImage("none"))
    _release(_NEW, source)
    (source.store.local_home / "oci" / "index.json").unlink()
    with pytest.raises(InputError, match="names no registry") as raised:
        follow(machine, silent, AsImage("none"))
    assert "push" in raised.value.remedy
