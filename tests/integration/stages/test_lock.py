"""Lock: made, kept while it satisfies, and made anew close to the one before."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from elt_env.errors import (
    ChannelUnreachableError,
    CondaUnsatisfiableError,
    IndexUnreachableError,
    IntegrityError,
    PipConflictError,
    PolicyError,
    StorageError,
)
from elt_env.model.lock import HeldBack
from elt_env.stages.lock import Locked, examine, lock
from elt_env.stages.question import Question
from elt_env.tools.store import read_lock_directory
from tests.support.channel import Channel, ChannelServer
from tests.support.index_server import IndexServer, dead_url
from tests.support.locking import LONG_AGO, Scene, target_of, versions_of
from tests.support.loopback import running
from tests.support.project import make_project, toolbox_of
from tests.support.wheels import make_sdist, make_wheel

_CONDA = ["pandas"]
_PIP = ["dbt", "click>=7"]


def _fill(scene: Scene) -> None:
    """Offer what the examples of this module lock."""
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_both("six", "1.16")
    scene.offer_conda("pandas", "1.0", "2.0", depends=["python", "dateutil", "six"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3", "six", "agate"])
    scene.offer_pip("agate", "1.7", requires=["six"])
    scene.offer_pip("click", "8.0")


@pytest.fixture
def filled(scene: Scene) -> Scene:
    """A scene with something to lock."""
    _fill(scene)
    return scene


def _lock(
    scene: Scene,
    *,
    conda: Sequence[str] = _CONDA,
    pip: Sequence[str] = _PIP,
    policy: Mapping[str, Any] | None = None,
    upgrade: tuple[str, ...] | None = (),
) -> Locked:
    return scene.lock(conda=conda, pip=pip, policy=policy, upgrade=upgrade)


def test_what_a_lock_tells(filled: Scene) -> None:
    before = datetime.now(timezone.utc).replace(microsecond=0)
    with running(ChannelServer(filled.channel.root)) as server:
        filled.channel_url = server.url
        locked = _lock(filled)
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
    locked = _lock(filled)
    assert {each.name for each in locked.path.iterdir()} == {
        *("lock.json", "conda.lock", "pylock.toml", "requirements.txt"),
    }
    assert read_lock_directory(locked.path, locked.lock.target) == locked.lock
    manifest = json.loads((locked.path / "lock.json").read_text())
    assert manifest["digest"] == locked.lock.digest
    pip_files = [(locked.path / name).read_text() for name in ("pylock.toml", "requirements.txt")]
    for package in locked.lock.packages:
        mine = package.manager == "pip"
        texts = pip_files if mine else [(locked.path / "conda.lock").read_text()]
        assert all(package.sha256 in text for text in texts)
    home = filled.toolbox(conda=_CONDA, pip=_PIP).store
    assert home.current_lock(locked.lock.target) == locked.lock


def test_a_lock_without_a_pip_section(filled: Scene) -> None:
    locked = filled.lock(conda=_CONDA)
    assert versions_of(locked) == {"dateutil": "4.0", "pandas": "2.0", "six": "1.16"}
    assert locked.lock.indexes == ()
    assert filled.lock(conda=_CONDA).kept


def test_a_lock_is_kept_without_any_network(
    hollow_python: Channel, tool_caches: Path, tmp_path: Path
) -> None:
    del tool_caches
    channel = hollow_python.linked_copy(tmp_path / "channel")
    with running(IndexServer()) as index, running(ChannelServer(channel.root)) as server:
        scene = Scene(tmp_path, channel, index, channel_url=server.url)
        _fill(scene)
        made = _lock(scene)
        index.requests.clear()
        server.requests.clear()
    again = _lock(scene)
    assert again.kept
    assert (again.lock, again.path, again.changes) == (made.lock, made.path, ())
    assert scene.said == [
        f"lock: kept {made.lock.digest} of elt@3.11/linux-64, it satisfies the spec and the policy"
    ]
    assert not index.requests
    assert not server.requests


_LAST_WEEK = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=7)
_BASE_PIP = [*_PIP, "rich", "source"]
_BASE_POLICY = {"allow-sdist": ["source"]}


@pytest.fixture(scope="module")
def base(hollow_python: Channel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """A project with a lock; not to be changed."""
    root = tmp_path_factory.mktemp("base")
    channel = hollow_python.linked_copy(root / "channel")
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        patch.setenv("UV_CACHE_DIR", str(root / "uv"))
        patch.setenv("NO_PROXY", "127.0.0.1")
        scene = Scene(root, channel, index)
        _fill(scene)
        scene.offer_conda("numpy", "2.0")
        scene.offer_pip("dotenv", "1.0")
        rich = make_wheel(root, "rich", "1.0", extras={"all": ["dotenv"]})
        index.add(rich, uploaded=_LAST_WEEK)
        index.add(make_sdist(root, "source", "1.0"))
        scene.lock(conda=_CONDA, pip=_BASE_PIP, policy=_BASE_POLICY)
        yield scene


@pytest.fixture
def copied(base: Scene, tool_caches: Path, tmp_path: Path) -> Scene:
    """A copy of that project, of the test's own."""
    del tool_caches
    shutil.copytree(base.root / "project", tmp_path / "project")
    return Scene(tmp_path, base.channel, base.index)


def _examine(
    scene: Scene,
    *,
    conda: Sequence[str] = _CONDA,
    pip: Sequence[str] = _BASE_PIP,
    policy: Mapping[str, Any] = _BASE_POLICY,
) -> Locked | Question:
    toolbox = scene.toolbox(conda=conda, pip=pip, policy=policy)
    return examine(target_of(toolbox), toolbox, scene.said.append)


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"conda": ["numpy", "pandas"]}, "conda: numpy is new in the spec"),
        ({"conda": ["pandas", "six"]}, "conda: six is new in the spec"),
        ({"conda": ["pandas<2"]}, "conda: pandas 2.0 is locked, the spec wants pandas <2"),
        ({"conda": ["pandas", "python>=3.11.6"]}, "conda: python 3.11.5 is locked"),
        ({"conda": []}, "conda: pandas is no longer asked for"),
        ({"pip": [*_BASE_PIP, "dotenv"]}, "pip: dotenv is new in the spec"),
        ({"pip": [*_BASE_PIP, "agate"]}, "pip: agate is new in the spec"),
        ({"pip": ["click<8", "dbt", "rich", "source"]}, "pip: click 8.0 is locked"),
        ({"pip": ["dbt", "rich", "source"]}, "pip: click is no longer asked for"),
        ({"pip": [*_PIP, "rich[all]", "source"]}, "rich[all]"),
        ({"policy": {}}, "source 1.0 is an sdist, and the policy wants wheels only"),
        (
            {"policy": {**_BASE_POLICY, "cooldown": "2 weeks"}},
            "rich 1.0 was younger than the cool-down of 14 days",
        ),
    ],
)
def test_what_is_not_satisfied_is_said(
    copied: Scene, changed: Mapping[str, Any], reason: str
) -> None:
    question = _examine(copied, **changed)
    assert isinstance(question, Question)
    assert [each for each in question.reasons if reason in each] == list(question.reasons)
    assert f"a new one is needed: {question.reasons[0]}" in copied.told


def test_another_channel_is_not_the_one_that_was_locked(copied: Scene) -> None:
    copied.channel_url = "https://channel.example.invalid/forge"
    question = _examine(copied)
    assert isinstance(question, Question)
    assert question.reasons == ("the spec's channels changed",)


@pytest.mark.parametrize(
    "changed",
    [
        {"pip": ["source", "rich", "click>=7", "dbt"]},
        {"pip": ["dbt>=1", "Click", "rich", "source"]},
        {"conda": ["pandas>=1", "python>=3.11"]},
        {"policy": {**_BASE_POLICY, "cooldown": "5 days"}},
    ],
)
def test_what_still_satisfies_is_kept(copied: Scene, changed: Mapping[str, Any]) -> None:
    kept = _examine(copied, **changed)
    assert isinstance(kept, Locked)
    assert kept.kept
    assert "lock: kept sha256:" in copied.told


def test_one_change_leaves_the_rest_where_it_was(filled: Scene) -> None:
    before = _lock(filled)
    filled.offer_both("six", "1.17")
    filled.offer_conda("pandas", "3.0", depends=["python", "dateutil", "six"])
    filled.offer_pip("dbt", "1.1", requires=["dateutil<3", "six", "agate"])
    filled.offer_pip("agate", "1.8", requires=["six"])
    filled.offer_pip("click", "9.0")
    after = _lock(filled, pip=["dbt", "click>=9"])
    assert versions_of(after) == {**versions_of(before), "click": "9.0"}
    assert [str(each) for each in after.changes] == ["^ click 8.0 → 9.0 (pip, upgraded)"]
    assert after.reasons == ("pip: click 8.0 is locked, the spec wants click>=9",)
    assert "1 upgraded" in filled.said[-1]
    # Why dateutil is not the newest is still in the manifest.
    assert after.lock.negotiated == before.lock.negotiated
    everything = _lock(filled, pip=["dbt", "click>=9"], upgrade=None)
    assert versions_of(everything) == {
        "dateutil": "2.9",
        "pandas": "3.0",
        "six": "1.17",
        "agate": "1.8",
        "click": "9.0",
        "dbt": "1.1",
    }
    assert everything.reasons == ("all packages may be upgraded",)
    assert [each.required_by for each in everything.lock.negotiated] == [("dbt 1.1",)]


def test_what_is_held_back_stays_known(scene: Scene) -> None:
    scene.offer_both("protobuf", "5.28", "6.0")
    scene.offer_pip("dbt", "1.5", requires=["protobuf"])
    scene.offer_pip("dbt", "1.11", requires=["protobuf<6"])
    scene.offer_pip("click", "8.0")
    conda, held = ["protobuf=6"], (HeldBack("dbt", "1.5", "1.11"),)
    assert scene.lock(conda=conda, pip=["dbt"]).lock.held_back == held
    assert scene.lock(conda=conda, pip=["dbt", "click"]).lock.held_back == held
    # It is over when conda may have what the tool needs.
    free = scene.lock(conda=["protobuf"], pip=["dbt", "click"], upgrade=None)
    assert (free.lock.held_back, versions_of(free)["dbt"]) == ((), "1.11")


def test_one_named_package_moves_alone(filled: Scene) -> None:
    before = _lock(filled)
    filled.offer_both("six", "1.17")
    filled.offer_pip("dbt", "1.1", requires=["dateutil<3", "six", "agate"])
    filled.offer_pip("agate", "1.8", requires=["six"])
    filled.offer_pip("click", "9.0")
    pip = _lock(filled, upgrade=("DBT",))
    assert versions_of(pip) == {**versions_of(before), "dbt": "1.1"}
    assert pip.reasons == ("to be upgraded: DBT",)
    conda = _lock(filled, upgrade=("six",))
    assert versions_of(conda) == {**versions_of(pip), "six": "1.17"}
    both = _lock(filled, upgrade=("agate", "click"))
    assert versions_of(both) == {**versions_of(conda), "agate": "1.8", "click": "9.0"}


def test_an_upgrade_takes_along_what_it_needs(scene: Scene) -> None:
    scene.offer_pip("dbt", "1.0", requires=["agate<2"])
    scene.offer_pip("agate", "1.0")
    scene.offer_pip("click", "8.0")
    before = scene.lock(pip=["dbt", "click"])
    scene.offer_pip("dbt", "1.1", requires=["agate>=2"])
    scene.offer_pip("agate", "2.0")
    scene.offer_pip("click", "9.0")
    after = scene.lock(pip=["dbt", "click"], upgrade=("dbt",))
    assert versions_of(after) == {**versions_of(before), "dbt": "1.1", "agate": "2.0"}


def test_a_downgrade_is_reported(scene: Scene) -> None:
    scene.offer_pip("dbt", "1.0", requires=["agate<2"])
    scene.offer_pip("agate", "1.0", "2.0")
    scene.lock(pip=["agate"])
    after = scene.lock(pip=["agate", "dbt"])
    assert [str(each) for each in after.changes] == [
        "! agate 2.0 → 1.0 (pip, downgraded)",
        "+ dbt 1.0 (pip, added)",
    ]
    assert scene.said[-1].endswith("1 added, 1 downgraded")


def test_a_release_that_was_yanked_since_is_not_kept(scene: Scene) -> None:
    scene.offer_pip("agate", "1.0")
    (newest,) = scene.offer_pip("agate", "2.0")
    scene.offer_pip("dbt", "1.0")
    assert versions_of(scene.lock(pip=["agate"])) == {"agate": "2.0"}
    scene.index.yank(newest)
    assert versions_of(scene.lock(pip=["agate", "dbt"])) == {"agate": "1.0", "dbt": "1.0"}
    assert "yanked by now, so not kept: agate==2.0" in scene.told


def test_only_what_is_locked_can_be_upgraded(copied: Scene) -> None:
    toolbox = copied.toolbox(conda=_CONDA, pip=_BASE_PIP, policy=_BASE_POLICY)
    with pytest.raises(PolicyError, match=r"'nope' is not in the lock of elt@3\.11") as caught:
        copied.lock_with(toolbox, upgrade=("click", "nope"))
    assert caught.value.exit_code == 2
    assert "elt-env show elt@3.11 --packages" in caught.value.remedy


def test_a_python_that_the_policy_does_not_list(copied: Scene) -> None:
    toolbox = copied.toolbox(conda=_CONDA)
    with pytest.raises(PolicyError, match=r"Python 3\.12 is not listed for 'elt'"):
        lock(toolbox.target("elt", "3.12"), toolbox, print)


def test_two_locks_of_the_same_have_the_same_digest(
    filled: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _lock(filled)
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "another-cache"))
    project = make_project(
        tmp_path / "elsewhere",
        channels=[filled.channel.url],
        index=filled.index.url,
        conda=["python", *reversed(_CONDA)],
        pip=list(reversed(_PIP)),
    )
    toolbox = toolbox_of(project)
    later = replace(toolbox, now=lambda: datetime.now(timezone.utc) + timedelta(days=1))
    again = lock(target_of(toolbox), later, print).lock
    assert again.digest == made.lock.digest
    assert again.spec_digest == made.lock.spec_digest
    assert again.locked_at > made.lock.locked_at
    assert (made.path / "conda.lock").read_text() == (
        later.store.lock_directory(again.digest) / "conda.lock"
    ).read_text()


def test_a_release_too_young_is_locked_from_neither_half(scene: Scene) -> None:
    now = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
    for name, offer in (("lib", scene.offer_conda), ("tool", scene.offer_pip)):
        offer(name, "1.0", released=now - timedelta(days=3, seconds=1))
        offer(name, "2.0", released=now - timedelta(days=2))

    def locked(cooldown: str) -> Locked:
        options = {"conda": ["lib"], "pip": ["tool"], "policy": {"cooldown": cooldown}}
        toolbox = replace(scene.toolbox(**options), now=lambda: now)  # type: ignore[arg-type]
        return scene.lock_with(toolbox, upgrade=None if scene.said else ())

    with running(ChannelServer(scene.channel.root)) as server:
        scene.channel_url = server.url
        careful = locked("3 days")
        assert versions_of(careful) == {"lib": "1.0", "tool": "1.0"}
        assert careful.lock.exclude_newer == now - timedelta(days=3)
        eager = locked("0")
        assert versions_of(eager) == {"lib": "2.0", "tool": "2.0"}
        assert eager.lock.exclude_newer is None


def test_an_index_without_upload_times(scene: Scene) -> None:
    scene.offer_pip("tool", "1.0")
    scene.index.fault = "no-upload-times"
    with pytest.raises(PipConflictError, match="no upload times for tool"):
        scene.lock(pip=["tool"])
    made = scene.lock(pip=["tool"], policy={"cooldown": "0"})
    assert made.lock.package("pip", "tool").released_at is None


def test_credentials_are_written_nowhere(filled: Scene) -> None:
    filled.index.fault = "refuse-auth"
    filled.index_url = filled.index.url_with_credentials
    locked = _lock(filled)
    assert locked.lock.indexes == (filled.index.url,)
    _, password = filled.index.credentials
    home = filled.root / "project" / ".elt_env"
    texts = [each.read_bytes() for each in home.rglob("*") if each.is_file()]
    assert len(texts) > 5
    assert not [each for each in texts if password.encode() in each]
    assert password not in f"{filled.told} {locked}"
    filled.index_url = filled.index.url.replace("://", "://reader:wrong-guess@")
    with pytest.raises(IndexUnreachableError, match="credentials") as caught:
        _lock(filled, upgrade=None)
    assert "wrong-guess" not in f"{caught.value} {filled.told}"


def _break_channel(scene: Scene) -> dict[str, Any]:
    scene.channel_url = dead_url()
    return {}


def _break_index(scene: Scene) -> dict[str, Any]:
    scene.index.fault = "html-nonsense"
    return {"upgrade": None}


def _ask_conda_for_too_much(scene: Scene) -> dict[str, Any]:
    del scene
    return {"conda": ["pandas>=9"]}


@pytest.mark.parametrize(
    ("breaks", "error"),
    [
        (_break_channel, ChannelUnreachableError),
        (_break_index, IndexUnreachableError),
        (_ask_conda_for_too_much, CondaUnsatisfiableError),
    ],
)
def test_a_failure_leaves_the_lock_as_it_was(
    filled: Scene, breaks: Callable[[Scene], dict[str, Any]], error: type[Exception]
) -> None:
    made = _lock(filled)
    options = breaks(filled)
    with pytest.raises(error):
        _lock(filled, **options)
    toolbox = filled.toolbox(conda=_CONDA, pip=_PIP)
    assert toolbox.store.current_lock(made.lock.target) == made.lock
    assert len(list(made.path.parent.iterdir())) == 1


def test_a_disk_without_space_holds_no_half_of_a_lock(filled: Scene, no_space: Path) -> None:
    toolbox = filled.toolbox(conda=_CONDA, pip=_PIP, policy={"home": str(no_space / "home")})
    (no_space / "filler").write_bytes(bytes(256 * 1024))
    with pytest.raises(StorageError, match="No space left"):
        filled.lock_with(toolbox)
    assert toolbox.store.current_lock(target_of(toolbox)) is None
    (no_space / "filler").unlink()


def test_a_store_that_cannot_be_written(filled: Scene, unwritable: Path) -> None:
    home = {"home": str(unwritable / "home")}
    with pytest.raises(StorageError, match="cannot be written"):
        _lock(filled, policy=home)


def test_a_lock_changed_by_hand_is_not_built_upon(copied: Scene) -> None:
    (manifest,) = (copied.root / "project").glob(".elt_env/locks/*/lock.json")
    manifest.write_text(manifest.read_text().replace('"8.0"', '"8.1"'))
    with pytest.raises(IntegrityError, match="changed by hand") as caught:
        _examine(copied)
    assert "elt-env relock elt@3.11" in caught.value.remedy
