"""The lock follows the channels and indexes of spec and policy, and no setting of a machine."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from elt_env.conda.channels import channel_of
from elt_env.errors import SpecError
from elt_env.lock.make import Locked, lock
from elt_env.lockfile.document import Lock
from tests.support.channel import Channel, ChannelServer
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, target_of
from tests.support.loopback import running
from tests.support.project import make_project, toolbox_of
from tests.support.said import Said
from tests.support.wheels import make_wheel

_CONTENT = {
    "forge": ["six 1", "lib 2", "two 1", "two 2"],
    "company": ["six 2", "lib 1"],
}


@dataclass
class World:
    """Channels below one URL, two indexes, and a project; a change is made and locked.

    Attributes:
        channels, conda, pip: the spec's.
        policy: keys of the policy.
        said: what the last lock said.
    """

    root: Path
    url: str
    index: str
    extra: str
    channels: Sequence[str] = ("forge", "company")
    conda: Sequence[str] = ("six",)
    pip: Sequence[str] = ("click",)
    policy: dict[str, Any] = field(default_factory=dict)
    said: Said = field(default_factory=Said)

    def lock(self, project: str = "project", upgrade: tuple[str, ...] | None = ()) -> Locked:
        """Lock the project as it is written now."""
        made = make_project(
            self.root / project,
            channels=self.channels,
            index=self.policy.get("index", self.index),
            conda=self.conda,
            pip=self.pip,
            policy={
                key: value
                for key, value in {"channel-alias": self.url, **self.policy}.items()
                if value
            },
        )
        toolbox = toolbox_of(made)
        self.said = Said()
        return lock(target_of(toolbox), toolbox, self.said, upgrade=upgrade)

    def fresh(self) -> Lock:
        """Lock the same in a project that knows no lock."""
        number = sum(1 for each in self.root.iterdir() if each.name.startswith("fresh-"))
        return self.lock(f"fresh-{number}").lock


@pytest.fixture(scope="module")
def places(hollow_python: Channel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Channels that differ in what they have; the mirrors of two of them lack nothing."""
    root = tmp_path_factory.mktemp("places")
    for name, packages in _CONTENT.items():
        channel = hollow_python.linked_copy(root / name)
        for each in packages:
            make_conda_package(root / name, *each.split(), timestamp=LONG_AGO)
        channel.index()
        channel.linked_copy(root / "mirror" / name)
    with (
        pytest.MonkeyPatch.context() as patch,
        running(ChannelServer(root)) as server,
        running(IndexServer()) as index,
        running(IndexServer()) as extra,
    ):
        patch.setenv("NO_PROXY", "127.0.0.1")
        patch.setenv("UV_CACHE_DIR", str(root / "uv"))
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        index.add(make_wheel(root, "click", "8.0"), uploaded=LONG_AGO)
        index.add(make_wheel(root, "rich", "1.0"), uploaded=LONG_AGO)
        extra.add(make_wheel(root, "click", "7.0"), uploaded=LONG_AGO)
        yield World(root, server.url, index.url, extra.url)


@pytest.fixture
def world(places: World, tool_caches: Path, tmp_path: Path) -> World:
    """The places, and a project of this test's own."""
    del tool_caches
    return World(tmp_path, places.url, places.index, places.extra)


def _where(found: Lock) -> dict[str, str]:
    """Return the channel or the index of every package but Python."""
    return {
        each.name: (each.index or channel_of(each.url)).rpartition("/channel/")[2]
        for each in found.packages
        if each.name != "python"
    }


def _change(world: World, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(world, name, value)


@pytest.mark.parametrize(
    ("changes", "reason", "place"),
    [
        ({"conda": ["company::six"]}, "conda: six is to come from company", "company"),
        ({"conda": ["company/noarch::six"]}, "conda: six is to come from", "company"),
        ({"channels": ["company", "forge"]}, "the spec's channels changed", "company"),
        ({"channels": ["company"]}, "the spec's channels changed", "company"),
        ({"policy": {"channel-priority": "disabled"}}, "the channel priority changed", "company"),
        ({"channels": ["mirror/forge"]}, "the spec's channels changed", "mirror/forge"),
    ],
)
def test_the_conda_half_follows(
    world: World, changes: dict[str, Any], reason: str, place: str
) -> None:
    assert _where(world.lock().lock)["six"] == "forge"
    _change(world, **changes)
    moved = world.lock()
    assert (moved.kept, _where(moved.lock)["six"]) == (False, place)
    assert any(reason in each for each in moved.reasons)
    assert "all of them may change" in "\n".join(world.said)
    assert moved.lock.digest == world.fresh().digest
    assert world.lock().kept


def test_what_no_longer_names_a_channel_may_come_from_any(world: World) -> None:
    world.conda = ["company::six"]
    assert _where(world.lock().lock)["six"] == "company"
    world.conda = ["six"]
    moved = world.lock()
    assert _where(moved.lock)["six"] == "forge"
    assert moved.reasons == ("conda: six may come from any channel, no longer from company alone",)


def test_a_channel_that_only_a_requirement_names_is_asked(world: World) -> None:
    _change(world, channels=["forge"], conda=["company::six", "lib"])
    found = world.lock().lock
    assert _where(found) | {"click": ""} == {"six": "company", "lib": "forge", "click": ""}
    assert found.channels == (f"{world.url}/forge", f"{world.url}/company")


def test_a_requirement_names_its_channel_by_url(world: World) -> None:
    world.conda = [f"{world.url}/company::six"]
    assert _where(world.lock().lock)["six"] == "company"
    assert world.lock().kept


def test_a_spec_that_lists_no_channels_gets_those_of_policy_or_settings(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings.yml").write_text("channels: [company]\n")
    monkeypatch.setenv("CONDARC", str(tmp_path / "settings.yml"))
    world.channels = []
    found = world.lock()
    assert _where(found.lock)["six"] == "company"
    assert any(f"taking company ({tmp_path}/settings.yml)" in each for each in world.said)
    world.policy = {"channels": ["forge"]}
    moved = world.lock()
    assert _where(moved.lock)["six"] == "forge"
    assert moved.reasons == ("the spec's channels changed",)
    assert "taking forge ('channels' of the policy)" in "\n".join(world.said)


def test_what_conda_build_made_is_a_channel_where_there_is_any(
    world: World, hollow_python: Channel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _change(world, channels=["local", "forge"], conda=["six"])
    assert _where(world.lock().lock)["six"] == "forge"
    for conda in ("six", "local::six"):
        _change(world, channels=["local"] if conda == "six" else ["forge"], conda=[conda])
        with pytest.raises(SpecError, match="conda-build"):
            world.lock()
    built = hollow_python.linked_copy(tmp_path / "built")
    make_conda_package(built.root, "six", "9", timestamp=LONG_AGO)
    built.index()
    (tmp_path / "settings.yml").write_text(f"croot: {built.root}\n")
    monkeypatch.setenv("CONDARC", str(tmp_path / "settings.yml"))
    assert world.lock().lock.package("conda", "six").version == "9"


def test_defaults_are_the_default_channels(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"default_channels: [{world.url}/mirror/company, {world.url}/forge]\n"
    (tmp_path / "settings.yml").write_text(text)
    monkeypatch.setenv("CONDARC", str(tmp_path / "settings.yml"))
    _change(world, channels=["defaults"], conda=["six", "defaults::two"])
    found = world.lock().lock
    assert _where(found) | {"click": ""} == {"six": "mirror/company", "two": "forge", "click": ""}
    assert found.channels == (f"{world.url}/mirror/company", f"{world.url}/forge")
    assert world.lock().kept


def test_another_alias_is_another_place(world: World) -> None:
    world.lock()
    world.policy = {"channel-alias": f"{world.url}/mirror"}
    moved = world.lock()
    assert not moved.kept
    assert _where(moved.lock)["six"] == "mirror/forge"
    assert moved.reasons == ("the channel alias changed: names of channels stand for other URLs",)


def test_the_pip_half_follows(world: World) -> None:
    assert world.lock().lock.package("pip", "click").version == "8.0"
    world.policy = {"extra-indexes": [world.extra]}
    moved = world.lock()
    assert moved.reasons == ("the extra package indexes changed",)
    assert moved.lock.package("pip", "click").version == "7.0"
    world.policy = {}
    back = world.lock()
    assert back.reasons == ("the extra package indexes changed",)
    assert back.lock.package("pip", "click").index == world.index
    world.policy = {"index": world.extra}
    other = world.lock()
    assert "the package index changed" in other.reasons
    assert other.lock.package("pip", "click").version == "7.0"


def test_one_package_is_upgraded_and_the_places_changed(world: World) -> None:
    world.conda = ["six", "lib"]
    world.lock()
    world.channels = ["company"]
    moved = world.lock(upgrade=("click",))
    assert _where(moved.lock) | {"click": ""} == {"six": "company", "lib": "company", "click": ""}


def test_a_new_requirement_leaves_the_rest_where_it_was(world: World, places: World) -> None:
    world.lock()
    world.conda = ["six", "lib"]
    moved = world.lock()
    assert moved.reasons == ("conda: lib is new in the spec",)
    assert "all of them may change" not in "\n".join(world.said)
    del places


def test_the_settings_of_a_machine_change_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elsewhere .condarc names a mirror: the lock is kept, and what it holds when it grows."""
    monkeypatch.setenv("CONDARC", str(tmp_path / "machine.yml"))
    (tmp_path / "machine.yml").write_text(f"channel_alias: {world.url}\n")
    _change(world, policy={"channel-alias": ""}, conda=["two<2"])
    before = world.lock().lock
    assert before.channels == (f"{world.url}/forge", f"{world.url}/company")
    text = f"channel_alias: {world.url}/mirror\nchannel_priority: disabled\nchannels: [x]\n"
    (tmp_path / "machine.yml").write_text(text)
    world.conda = ["two"]
    assert world.lock().kept
    assert f"{world.url}/mirror/forge" in "\n".join(world.said)
    world.conda = ["two", "lib"]
    grown = world.lock().lock
    assert grown.package("conda", "two").version == "1"
    assert _where(grown) | {"click": ""} == {
        "two": "mirror/forge",
        "lib": "mirror/forge",
        "click": "",
    }
    assert world.lock(upgrade=None).lock.package("conda", "two").version == "2"


@pytest.mark.parametrize("seed", range(6))
def test_after_any_change_the_lock_is_that_of_a_fresh_solve(world: World, seed: int) -> None:
    choose = random.Random(seed)  # noqa: S311  # no secret
    for _ in range(2):
        channels = choose.sample(["forge", "company", "mirror/forge"], choose.randint(1, 3))
        names = ["", *(f"{each}::" for each in ("forge", "company"))]
        _change(
            world,
            channels=channels,
            conda=[f"{choose.choice(names)}{each}" for each in ("six", "lib")],
            policy={
                "channel-priority": choose.choice(["strict", "flexible", "disabled"]),
                "extra-indexes": choose.choice([[], [world.extra]]),
            },
        )
        found = world.lock().lock
        assert found.digest == world.fresh().digest
        allowed = {*channels, *(each.split("::")[0] for each in world.conda if "::" in each)}
        where = _where(found)
        assert {where["six"], where["lib"]} <= allowed
        for line in world.conda:
            channel, _, name = line.rpartition("::")
            assert not channel or where[name] == channel
