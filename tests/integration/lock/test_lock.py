"""A lock, and what it is made of."""

from __future__ import annotations

import json
import sys
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Literal

import pytest
from packaging.pylock import Package, Pylock

from elt_env.index.package_index import PackageIndex
from elt_env.lock.make import Locked, lock
from elt_env.store.locks import read_lock_directory
from tests.support.channel import Channel, ChannelServer
from tests.support.index_server import IndexServer
from tests.support.locking import (
    CONDA,
    LONG_AGO,
    PIP,
    Scene,
    fill,
    lock_example,
    target_of,
    versions_of,
)
from tests.support.loopback import running
from tests.support.project import at_moment, make_project, toolbox_of
from tests.support.wheels import make_sdist, make_wheel

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def test_what_a_lock_tells(filled: Scene) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    with running(ChannelServer(filled.channel.root)) as server:
        filled.channel_url = server.url
        locked = lock_example(filled)
    lock = locked.lock
    assert not locked.kept
    assert locked.reasons == ("there is no lock yet",)
    assert str(lock.target) == "elt@3.11/linux-64"
    assert versions_of(locked) == {
        "dateutil": "2.9",
        "pandas": "2.0",
        "six": "1.16",
        "agate": "1.7",
        "click": "8.0",
        "dbt": "1.0",
    }
    assert {
        each.name: (each.manager, each.requested, each.required_by) for each in lock.packages
    } == {
        "dateutil": ("conda", False, ("dbt", "pandas")),
        "pandas": ("conda", True, ()),
        "python": ("conda", True, ("dateutil", "pandas", "six")),
        "six": ("conda", False, ("agate", "dbt", "pandas")),
        "agate": ("pip", False, ("dbt",)),
        "click": ("pip", True, ()),
        "dbt": ("pip", True, ()),
    }
    for package in lock.packages:
        url = server.url if package.manager == "conda" else filled.index.base_url
        assert package.url.startswith(url + "/")
        assert package.released_at == LONG_AGO
        assert package.size
    assert (lock.channels, lock.channel_source) == ((server.url,), "remote")
    assert lock.indexes == (filled.index.url,)
    assert [each.name for each in lock.negotiated] == ["dateutil"]
    assert lock.requirements == (
        *(f"channel: {server.url}", "conda: python", "conda: pandas"),
        *("pip: click>=7", "pip: dbt"),
    )
    assert dict(lock.tools).keys() == {"rattler", "uv"}
    assert before <= lock.locked_at <= datetime.now(timezone.utc)
    assert lock.exclude_newer is not None
    assert (
        timedelta(0)
        <= lock.locked_at - timedelta(days=3) - lock.exclude_newer
        < timedelta(minutes=1)
    )
    assert {each.kind for each in locked.changes} == {"added"}


def test_the_files_of_a_lock(filled: Scene) -> None:
    locked = lock_example(filled)
    assert {each.name for each in Path(locked.path).iterdir()} == {
        *("lock.json", "conda-linux-64.lock", "pylock.toml", "requirements.txt"),
    }
    assert read_lock_directory(Path(locked.path), locked.lock.target) == locked.lock
    manifest = json.loads((Path(locked.path) / "lock.json").read_text())
    assert manifest["digest"] == locked.lock.digest
    pip_files = [
        (Path(locked.path) / name).read_text() for name in ("pylock.toml", "requirements.txt")
    ]
    for package in locked.lock.packages:
        mine = package.manager == "pip"
        texts = pip_files if mine else [(Path(locked.path) / "conda-linux-64.lock").read_text()]
        assert all(package.sha256 in text for text in texts)
    home = filled.toolbox(conda=CONDA, pip=PIP).store
    assert home.current_lock(locked.lock.target) == locked.lock


def _pylock(locked: Locked) -> dict[str, Package]:
    content = tomllib.loads((Path(locked.path) / "pylock.toml").read_text(encoding="utf-8"))
    return {each.name: each for each in Pylock.from_dict(content).packages}


def _offer_bounded(scene: Scene, name: str, *versions: str, bound: str) -> None:
    for version in versions:
        wheel = make_wheel(scene.root, name, version, requires_python=bound, requires=["agate"])
        scene.index.add(wheel)


@pytest.mark.parametrize("pages", [None, "html-only"])
def test_pylock_says_what_the_packages_need(
    filled: Scene, pages: Literal["html-only"] | None
) -> None:
    _offer_bounded(filled, "bounded", "1!1.0", bound=">=3.8,!=3.9.*")
    filled.index.add(make_sdist(filled.root, "source", "1.0", requires_python=">=3.7"))
    filled.index.fault = pages
    policy = {"allow-sdist": ["source"], "undated-releases": "take"}
    found = _pylock(filled.lock(conda=CONDA, pip=[*PIP, "bounded", "source"], policy=policy))
    assert {name: str(each.requires_python) for name, each in found.items()} == {
        "agate": "None",
        "bounded": "!=3.9.*,>=3.8",
        "click": "None",
        "dbt": "None",
        "source": ">=3.7",
    }
    assert {name: each.dependencies for name, each in found.items() if each.dependencies} == {
        "bounded": [{"name": "agate"}],
        "dbt": [{"name": "agate"}],
    }


def test_what_the_index_said_of_a_file_is_not_asked_again(filled: Scene) -> None:
    _offer_bounded(filled, "bounded", "1.0", bound=">=3.8")
    made = filled.lock(conda=CONDA, pip=[*PIP, "bounded"])
    toolbox = filled.toolbox(conda=CONDA, pip=["dbt", "bounded"])
    vars(toolbox)["package_index"] = PackageIndex(toolbox.indexes, filled.root, limit=0)
    again = filled.lock_with(toolbox)
    assert again.lock.digest != made.lock.digest
    assert again.lock.package("pip", "bounded").requires_python == ">=3.8"


def test_an_index_that_says_nothing_of_pythons_is_no_reason_to_lock_nothing(filled: Scene) -> None:
    _offer_bounded(filled, "bounded", "1.0", bound=">=3.8")
    toolbox = filled.toolbox(conda=CONDA, pip=["bounded"])
    vars(toolbox)["package_index"] = PackageIndex(toolbox.indexes, filled.root, limit=0)
    locked = filled.lock_with(toolbox)
    assert locked.lock.package("pip", "bounded").requires_python is None
    assert "WARNING: which Pythons the packages are for is not known" in filled.told
    assert locked.lock.digest == filled.lock(pip=["bounded"], conda=CONDA, upgrade=None).lock.digest


def test_a_lock_without_a_pip_section(filled: Scene) -> None:
    locked = filled.lock(conda=CONDA)
    assert versions_of(locked) == {"dateutil": "4.0", "pandas": "2.0", "six": "1.16"}
    assert locked.lock.indexes == ()
    assert filled.lock(conda=CONDA).kept


def test_a_lock_is_kept_without_any_network(
    hollow_python: Channel, tool_caches: Path, tmp_path: Path
) -> None:
    del tool_caches
    channel = hollow_python.linked_copy(tmp_path / "channel")
    with running(IndexServer()) as index, running(ChannelServer(channel.root)) as server:
        scene = Scene(tmp_path, channel, index, channel_url=server.url)
        fill(scene)
        made = lock_example(scene)
        index.requests.clear()
        server.requests.clear()
    again = lock_example(scene)
    assert again.kept
    assert (again.lock, again.path, again.changes) == (made.lock, made.path, ())
    assert scene.said == [
        f"lock: kept {made.lock.digest} of elt@3.11/linux-64, it satisfies the spec and the policy"
    ]
    assert not index.requests
    assert not server.requests


def test_two_locks_of_the_same_have_the_same_digest(
    filled: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = lock_example(filled)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    project = make_project(
        tmp_path / "elsewhere",
        channels=[filled.channel.url],
        index=filled.index.url,
        conda=["python", *reversed(CONDA)],
        pip=list(reversed(PIP)),
    )
    toolbox = toolbox_of(project)
    later = at_moment(toolbox, datetime.now(timezone.utc) + timedelta(days=1))
    again = lock(target_of(toolbox), later, print).lock
    assert again.digest == made.lock.digest
    assert again.spec_digest == made.lock.spec_digest
    assert again.locked_at > made.lock.locked_at
    assert (Path(made.path) / "conda-linux-64.lock").read_text() == (
        Path(later.store.lock_directory(again.digest)) / "conda-linux-64.lock"
    ).read_text()


def test_a_release_too_young_is_locked_from_neither_half(scene: Scene) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
    for name, offer in (("lib", scene.offer_conda), ("tool", scene.offer_pip)):
        offer(name, "1.0", released=now - timedelta(days=3, seconds=1))
        offer(name, "2.0", released=now - timedelta(days=2))

    def locked(cooldown: str) -> Locked:
        options = {"conda": ["lib"], "pip": ["tool"], "policy": {"cooldown": cooldown}}
        toolbox = at_moment(scene.toolbox(**options), now)  # type: ignore[arg-type]
        return scene.lock_with(toolbox, upgrade=None if scene.said else ())

    with running(ChannelServer(scene.channel.root)) as server:
        scene.channel_url = server.url
        careful = locked("3 days")
        assert versions_of(careful) == {"lib": "1.0", "tool": "1.0"}
        assert careful.lock.exclude_newer == now - timedelta(days=3)
        eager = locked("0")
        assert versions_of(eager) == {"lib": "2.0", "tool": "2.0"}
        assert eager.lock.exclude_newer is None
