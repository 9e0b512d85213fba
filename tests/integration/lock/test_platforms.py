"""Locks of other platforms, made, kept, shown and exported on this machine."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from elt_env.cli import main
from elt_env.environment.build import ensure_prefix
from elt_env.errors import IntegrityError, PlatformsError, PolicyError
from elt_env.lock.make import lock
from elt_env.lock.platforms import lock_others
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.package.platform import this_platform
from elt_env.tools import Tools
from elt_env.watch.decide import Tick, watcher_of
from elt_env.watch.spec import look_at_spec
from elt_env.watch.state import TargetState
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO
from tests.support.project import ENVIRONMENT, make_project, toolbox_of
from tests.support.real_conda import installed_conda
from tests.support.said import Said
from tests.support.sample import silent
from tests.support.wheels import make_sdist, make_wheel

_OTHERS = ("linux-aarch64", "osx-arm64")
_MINOR = "3.11"
_WHEELS = {
    "linux-64": "manylinux_2_17_x86_64.manylinux2014_x86_64",
    "linux-aarch64": "manylinux_2_17_aarch64",
    "osx-arm64": "macosx_12_0_arm64",
}

pytestmark = pytest.mark.skipif(this_platform() != "linux-64", reason="the channel is for linux-64")


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """A channel with packages for three platforms."""
    root = tmp_path / "channel"
    for subdir in ("linux-64", *_OTHERS):
        for name, version, depends in (
            ("python", "3.11.9", []),
            ("native", "1.0", ["python"]),
            ("native", "2.0", ["python", *_needs(subdir)]),
        ):
            make_conda_package(
                root, name, version, subdir=subdir, depends=depends, timestamp=LONG_AGO
            )
    make_conda_package(root, "unix-only", "1.0", depends=["__linux"], timestamp=LONG_AGO)
    found = Channel(root)
    found.index()
    return found


def _needs(subdir: str) -> list[str]:
    return {"linux-aarch64": ["__glibc >=2.34"], "osx-arm64": ["__osx >=12"]}.get(subdir, [])


@pytest.fixture
def offered(index: IndexServer, tmp_path: Path) -> IndexServer:
    """An index with a distribution that has a wheel for each platform, and others."""
    place = tmp_path / "wheels"
    requires = [
        "for-mac ; sys_platform == 'darwin'",
        "for-arm ; platform_machine == 'aarch64'",
        "for-intel ; platform_machine == 'x86_64'",
    ]
    wheels = [
        make_wheel(place, "fast", "1.0", tag=f"cp311-cp311-{each}", requires=requires)
        for each in _WHEELS.values()
    ]
    wheels.append(make_wheel(place, "fast", "1.1", tag="cp311-cp311-win_amd64"))
    wheels += [make_wheel(place, f"for-{each}", "1.0") for each in ("mac", "arm", "intel")]
    for each in wheels:
        index.add(each, uploaded=LONG_AGO)
    return index


def _open(
    root: Path,
    channel: Channel,
    index: IndexServer | None,
    *,
    conda: tuple[str, ...] = ("native",),
    pip: tuple[str, ...] = ("fast",),
    policy: Mapping[str, Any] | None = None,
    conda_tool: str = "rattler",
    **environment: Any,
) -> Tools:
    project = make_project(
        root / "project",
        channels=[channel.url],
        index=index.url if index else None,
        conda=conda,
        pip=pip,
        policy=policy,
        environment={"platforms": ["linux-64", *_OTHERS], "conda": conda_tool, **environment},
    )
    return toolbox_of(project)


def _lock_all(tools: Tools, said: Said | None = None) -> dict[str, Lock]:
    say = silent if said is None else said
    own = lock(target_here(ENVIRONMENT, _MINOR), tools, say)
    found = (own, *lock_others(own, tools, say))
    return {each.lock.target.platform: each.lock for each in found}


def _held(made: Lock) -> dict[str, str]:
    return {each.name: each.version for each in made.packages}


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_all_platforms_are_locked_from_one_machine(
    channel: Channel, offered: IndexServer, tmp_path: Path, resolver: str
) -> None:
    locks = _lock_all(_open(tmp_path, channel, offered, resolver=resolver))
    own = {"python": "3.11.9", "fast": "1.0"}
    assert _held(locks["linux-64"]) == own | {"native": "2.0", "for-intel": "1.0"}
    # glibc 2.28 is what is taken for granted.
    assert _held(locks["linux-aarch64"]) == own | {"native": "1.0", "for-arm": "1.0"}
    assert _held(locks["osx-arm64"]) == own | {"native": "2.0", "for-mac": "1.0"}
    for platform, made in locks.items():
        wheel = next(each for each in made.pip if each.name == "fast")
        assert _WHEELS[platform].partition(".")[0] in wheel.file_name
        assert {each.conda.subdir for each in made.conda if each.conda} == {platform}
    assert len({each.digest for each in locks.values()}) == 3


@pytest.mark.slow
def test_conda_solves_for_other_platforms(
    channel: Channel, offered: IndexServer, tmp_path: Path
) -> None:
    program = str(installed_conda(tmp_path / "home").program())
    locks = _lock_all(_open(tmp_path, channel, offered, conda_tool=program))
    assert {_held(each)["native"] for each in locks.values()} == {"1.0", "2.0"}
    rattlers = _lock_all(_open(tmp_path / "rattler", channel, offered))
    assert {each.digest for each in locks.values()} == {each.digest for each in rattlers.values()}


def test_the_policy_tells_of_virtual_packages(
    channel: Channel, offered: IndexServer, tmp_path: Path
) -> None:
    told = {"linux-aarch64": {"__glibc": "2.35"}, "osx-arm64": {"__osx": "11.0"}}
    tools = _open(tmp_path, channel, offered, policy={"virtual-packages": told})
    own = lock(target_here(ENVIRONMENT, _MINOR), tools, silent)
    with pytest.raises(PlatformsError) as error:
        lock_others(own, tools, silent)
    # The wheel for macOS is of 12.0.
    assert "elt@3.11/osx-arm64 is not locked" in error.value.problem
    assert "linux-aarch64 is not" not in error.value.problem
    arm = tools.store.current_lock(target_here(ENVIRONMENT, _MINOR, "linux-aarch64"))
    assert arm is not None
    assert _held(arm)["native"] == "2.0"


def test_what_is_locked_is_kept(channel: Channel, offered: IndexServer, tmp_path: Path) -> None:
    tools = _open(tmp_path, channel, offered)
    before, said = _lock_all(tools), Said()
    after = _lock_all(tools, said)
    assert before == after
    assert sum(each.startswith("lock: kept") for each in said) == 3


def test_a_platform_without_an_answer_is_told_and_the_others_are_locked(
    channel: Channel, offered: IndexServer, tmp_path: Path
) -> None:
    tools, said = _open(tmp_path, channel, offered, conda=("unix-only",)), Said()
    own = lock(target_here(ENVIRONMENT, _MINOR), tools, said)
    with pytest.raises(PlatformsError) as error:
        lock_others(own, tools, said)
    assert error.value.exit_code == 3
    assert "elt@3.11/osx-arm64 is not locked" in error.value.problem
    assert "unix-only" in error.value.problem
    assert any("lock: elt@3.11/osx-arm64 is not locked" in each for each in said)
    platforms = (target_here(ENVIRONMENT, _MINOR, each) for each in ("linux-64", *_OTHERS))
    found = [tools.store.current_lock(each) is not None for each in platforms]
    assert found == [True, True, False]


def test_only_listed_platforms_are_locked(
    channel: Channel, offered: IndexServer, tmp_path: Path
) -> None:
    tools = _open(tmp_path, channel, offered, platforms=["linux-aarch64"])
    with pytest.raises(PolicyError, match="osx-arm64 is not listed for 'elt'") as error:
        lock(target_here(ENVIRONMENT, _MINOR, "osx-arm64"), tools, silent)
    assert '"linux-64", "linux-aarch64", "osx-arm64"' in error.value.remedy
    with pytest.raises(PolicyError, match="'mars-64' is no platform"):
        _open(tmp_path, channel, offered, platforms=["mars-64"])


def test_no_prefix_of_another_platform_is_built(
    channel: Channel, offered: IndexServer, tmp_path: Path
) -> None:
    tools = _open(tmp_path, channel, offered)
    with pytest.raises(IntegrityError, match="is for osx-arm64; this machine") as error:
        ensure_prefix(_lock_all(tools)["osx-arm64"], tools, silent)
    assert "On a machine of that platform: elt-env build elt@3.11" in error.value.remedy


def _typed(tools: Tools, monkeypatch: pytest.MonkeyPatch, *words: str) -> Result:
    monkeypatch.chdir(tools.project.root)
    return CliRunner().invoke(main, words, prog_name="elt-env")


def test_commands_take_a_platform(
    channel: Channel, offered: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = _open(tmp_path, channel, offered)
    done = _typed(tools, monkeypatch, "lock", "elt@3.11")
    assert done.exit_code == 0, done.output
    for each in ("elt@3.11 sha256", *(f"elt@3.11/{each} sha256" for each in _OTHERS)):
        assert each in done.output
    arm = "elt@3.11/linux-aarch64"
    shown = json.loads(_typed(tools, monkeypatch, "show", arm, "--json").stdout)
    assert (shown["target"], shown["platform"]) == (arm, "linux-aarch64")
    assert shown["lock"]["packages"] == 4
    for words in (("show", arm), ("diff", "elt@3.11", arm), ("why", arm, "for-arm")):
        done = _typed(tools, monkeypatch, *words)
        assert done.exit_code == 0, done.output
        assert "for-arm" in done.output or words[0] == "show"
    for command in ("build", "check", "pack", "promote"):
        done = _typed(tools, monkeypatch, command, arm)
        assert done.exit_code == 2, (command, done.output)
    done = _typed(tools, monkeypatch, "lock", "elt@3.11/osx-64")
    assert done.exit_code == 2, done.output
    done = _typed(tools, monkeypatch, "build", arm)
    assert "is of another platform than this machine (linux-64)" in done.output
    done = _typed(tools, monkeypatch, "relock", "elt@3.11")
    assert done.exit_code == 0, done.output
    assert f"{arm} sha256" in done.output


def test_conda_lock_gets_all_platforms(
    channel: Channel, offered: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = _open(tmp_path, channel, offered)
    locks = _lock_all(tools)
    done = _typed(tools, monkeypatch, "export", "elt@3.11", "--format", "conda-lock")
    content = yaml.safe_load(done.stdout)
    assert content["metadata"]["platforms"] == sorted(locks)
    for platform, made in locks.items():
        mine = {e["url"] for e in content["package"] if e["platform"] == platform}
        assert mine == {each.origin for each in made.packages}
    done = _typed(tools, monkeypatch, "export", "elt@3.11/osx-arm64", "--format", "explicit")
    assert "osx-arm64/native-2.0-0.conda" in done.stdout


@pytest.mark.slow
@pytest.mark.registry
def test_real_wheels_of_other_platforms(channel: Channel, tmp_path: Path) -> None:
    tools = _open(tmp_path, channel, None, pip=("duckdb", "markupsafe"))
    for platform, made in _lock_all(tools).items():
        architecture = {"linux-64": "x86_64", "linux-aarch64": "aarch64"}.get(platform, "arm64")
        system = "macosx" if platform.startswith("osx") else "manylinux"
        assert [each.name for each in made.pip] == ["duckdb", "markupsafe"]
        for each in made.pip:
            assert system in each.file_name, each.file_name
            assert each.file_name.endswith(f"{architecture}.whl"), each.file_name


def test_a_platform_that_is_not_locked_is_noticed(
    channel: Channel, offered: IndexServer, tmp_path: Path
) -> None:
    tools = _open(tmp_path, channel, offered)
    target = target_here(ENVIRONMENT, _MINOR)
    lock(target, tools, silent)
    watcher = watcher_of(tools, ENVIRONMENT, Tick(60.0), silent)
    seen = look_at_spec(target, TargetState(), watcher)
    assert seen.ask is not None
    assert seen.memory is not None
    for each in _OTHERS:
        assert f"there is no lock of elt@3.11/{each}" in seen.told
    again = look_at_spec(target, seen.memory, watcher)
    assert again.ask is None  # one that cannot be had is not asked for again and again
    _lock_all(tools)
    assert "satisfies" in look_at_spec(target, seen.memory, watcher).told


@pytest.mark.parametrize("resolver", ["uv", "pip"])
def test_an_sdist_is_locked_for_every_platform(
    channel: Channel, offered: IndexServer, tmp_path: Path, resolver: str
) -> None:
    offered.add(make_sdist(tmp_path / "sdists", "source", "1.0"), uploaded=LONG_AGO)
    policy = {"allow-sdist": ["source"]}
    tools = _open(tmp_path, channel, offered, pip=("source",), policy=policy, resolver=resolver)
    for made in _lock_all(tools).values():
        assert [each.file_name for each in made.pip] == ["source-1.0.tar.gz"]
