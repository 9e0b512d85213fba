"""A lock is kept while it satisfies, and is made anew close to the one before."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from elt_env.lock.make import Locked, examine
from elt_env.lock.request import LockRequest
from elt_env.lockfile.document import HeldBack
from tests.support.channel import Channel
from tests.support.index_server import IndexServer
from tests.support.locking import (
    CONDA,
    PIP,
    Scene,
    fill,
    lock_example,
    target_of,
    versions_of,
)
from tests.support.loopback import running
from tests.support.wheels import make_sdist, make_wheel

_LAST_WEEK = datetime.now(timezone.utc).replace(microsecond=0) - timedelta(days=7)
_BASE_PIP = [*PIP, "rich", "source"]
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
        fill(scene)
        scene.offer_conda("numpy", "2.0")
        scene.offer_pip("dotenv", "1.0")
        rich = make_wheel(root, "rich", "1.0", extras={"all": ["dotenv"]})
        index.add(rich, uploaded=_LAST_WEEK)
        index.add(make_sdist(root, "source", "1.0"))
        scene.lock(conda=CONDA, pip=_BASE_PIP, policy=_BASE_POLICY)
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
    conda: Sequence[str] = CONDA,
    pip: Sequence[str] = _BASE_PIP,
    policy: Mapping[str, Any] = _BASE_POLICY,
) -> Locked | LockRequest:
    toolbox = scene.toolbox(conda=conda, pip=pip, policy=policy)
    return examine(target_of(toolbox), toolbox, scene.said)


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
        ({"pip": [*PIP, "rich[all]", "source"]}, "rich[all]"),
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
    assert isinstance(question, LockRequest)
    assert [each for each in question.reasons if reason in each] == list(question.reasons)
    assert f"a new one is needed: {question.reasons[0]}" in copied.told


def test_other_variables_alone_make_another_lock_of_the_same_packages(copied: Scene) -> None:
    def locked(**variables: str) -> Locked:
        toolbox = copied.toolbox(conda=CONDA, pip=_BASE_PIP, policy=_BASE_POLICY)
        spec = copied.root / "project/environments/elt.yml"
        spec.write_text(spec.read_text() + yaml.safe_dump({"variables": variables}))
        return copied.lock_with(toolbox)

    before = copied.lock(conda=CONDA, pip=_BASE_PIP, policy=_BASE_POLICY)
    first = locked(DBT_PROFILES_DIR="ci/profiles", DBT_PARTIAL_PARSE="0")
    assert first.lock.variables == (("DBT_PARTIAL_PARSE", "0"), ("DBT_PROFILES_DIR", "ci/profiles"))
    assert first.reasons == ("the spec's variables changed",)
    assert first.lock.packages == before.lock.packages
    assert locked(DBT_PROFILES_DIR="ci/profiles", DBT_PARTIAL_PARSE="0").kept
    second = locked(DBT_PROFILES_DIR="ci/profiles", DBT_PARTIAL_PARSE="1")
    assert len({each.lock.digest for each in (before, first, second)}) == 3
    assert "ci/profiles" not in copied.told
    again = copied.lock(conda=CONDA, pip=_BASE_PIP, policy=_BASE_POLICY)
    assert again.lock.digest == before.lock.digest


def test_another_channel_is_not_the_one_that_was_locked(copied: Scene) -> None:
    copied.channel_url = "https://channel.example.invalid/forge"
    question = _examine(copied)
    assert isinstance(question, LockRequest)
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
    before = lock_example(filled)
    filled.offer_both("six", "1.17")
    filled.offer_conda("pandas", "3.0", depends=["python", "dateutil", "six"])
    filled.offer_pip("dbt", "1.1", requires=["dateutil<3", "six", "agate"])
    filled.offer_pip("agate", "1.8", requires=["six"])
    filled.offer_pip("click", "9.0")
    after = lock_example(filled, pip=["dbt", "click>=9"])
    assert versions_of(after) == {**versions_of(before), "click": "9.0"}
    assert [str(each) for each in after.changes] == ["^ click 8.0 → 9.0 (pip, upgraded)"]
    assert after.reasons == ("pip: click 8.0 is locked, the spec wants click>=9",)
    assert "1 upgraded" in filled.said[-1]
    # Why dateutil is not the newest is still in the manifest.
    assert after.lock.negotiated == before.lock.negotiated
    everything = lock_example(filled, pip=["dbt", "click>=9"], upgrade=None)
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
    # By name, dbt comes before protobuf, which is asked for too.
    assert versions_of(free)["dbt"] == "1.11"
    assert free.lock.held_back == (HeldBack("protobuf", "5.28", "6.0"),)


def test_one_named_package_moves_alone(filled: Scene) -> None:
    before = lock_example(filled)
    filled.offer_both("six", "1.17")
    filled.offer_pip("dbt", "1.1", requires=["dateutil<3", "six", "agate"])
    filled.offer_pip("agate", "1.8", requires=["six"])
    filled.offer_pip("click", "9.0")
    pip = lock_example(filled, upgrade=("DBT",))
    assert versions_of(pip) == {**versions_of(before), "dbt": "1.1"}
    assert pip.reasons == ("to be upgraded: DBT",)
    conda = lock_example(filled, upgrade=("six",))
    assert versions_of(conda) == {**versions_of(pip), "six": "1.17"}
    both = lock_example(filled, upgrade=("agate", "click"))
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
