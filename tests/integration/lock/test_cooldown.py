"""The cool-down of both halves: exceptions, files without a date, and what is held back."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from elt_env.errors import ChannelUnreachableError, IndexUnreachableError, PipConflictError
from elt_env.lock.held import Held, asked_of, held_by_cooldown
from elt_env.lockfile.document import Lock
from elt_env.tools import Tools
from tests.support.channel import ChannelServer
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import dead_url
from tests.support.locking import LONG_AGO, Scene, versions_of
from tests.support.loopback import running

_NOW = datetime.now(timezone.utc).replace(microsecond=0)
_YOUNG = _NOW - timedelta(days=1)
_ELIGIBLE = _NOW + timedelta(days=2)
_ASKED: dict[str, Any] = {"conda": ("my_lib",), "pip": ("app",)}
_OLD = {"my_lib": "1.0", "other": "1.0", "app": "1.0", "dep": "1.0"}


@pytest.fixture
def stocked(scene: Scene) -> Scene:
    """Two packages of conda and two of pip, half transitive; each has a young one."""
    for version, moment in (("1.0", LONG_AGO), ("2.0", _YOUNG)):
        needs = ["python", "other"]
        scene.offer_conda("lib", version, package="my_lib", depends=needs, released=moment)
    scene.offer_conda("other", "1.0")
    scene.offer_conda("other", "2.0", released=_YOUNG)
    scene.offer_pip("app", "1.0", requires=["dep"])
    scene.offer_pip("app", "2.0", requires=["dep"], released=_YOUNG)
    scene.offer_pip("dep", "1.0")
    scene.offer_pip("dep", "2.0", released=_YOUNG)
    return scene


def test_exceptions_of_both_halves(stocked: Scene) -> None:
    assert versions_of(stocked.lock(**_ASKED)) == _OLD
    freed = stocked.lock(**_ASKED, policy={"cooldown-exceptions": ["My.Lib", "Dep"]}, upgrade=None)
    assert versions_of(freed) == _OLD | {"my_lib": "2.0", "dep": "2.0"}
    assert {each.name: each.released_at for each in freed.lock.packages}["my_lib"] == _YOUNG


def test_a_lock_is_kept_while_its_exceptions_stand(stocked: Scene) -> None:
    exceptions = {"cooldown-exceptions": ["my-lib", "dep"]}
    first = stocked.lock(**_ASKED, policy=exceptions)
    assert stocked.lock(**_ASKED, policy=exceptions).kept
    more = {"cooldown-exceptions": ["my-lib", "dep", "other"]}
    assert stocked.lock(**_ASKED, policy=more).kept
    again = stocked.lock(**_ASKED)
    assert versions_of(again) == _OLD
    assert {each.split()[0] for each in again.reasons} == {"my_lib", "dep"}
    assert first.lock.digest != again.lock.digest
    assert stocked.lock(**_ASKED).kept


def test_files_without_an_upload_time(stocked: Scene) -> None:
    stocked.index.fault = "no-upload-times"
    with pytest.raises(PipConflictError, match=r"2\.0 has no upload time") as caught:
        stocked.lock(**_ASKED)
    assert 'undated-releases = "take"' in caught.value.remedy
    assert stocked.told.count("uv: the index gives no upload times for app") == 1
    taken = stocked.lock(**_ASKED, policy={"undated-releases": "take"})
    assert versions_of(taken) == _OLD | {"app": "2.0", "dep": "2.0"}


def _held(stocked: Scene, **policy: object) -> tuple[Lock, Tools]:
    locked = stocked.lock(**_ASKED)
    return locked.lock, stocked.toolbox(**_ASKED, policy=policy)


def test_what_is_held_back_and_until_when(stocked: Scene) -> None:
    needs = ["python 3.99.*"]
    stocked.offer_conda("lib", "3.0", package="my_lib", depends=needs, released=_YOUNG)
    stocked.offer_pip("app", "3.0rc1", released=_YOUNG)
    lock, toolbox = _held(stocked)
    assert held_by_cooldown(lock, toolbox) == (
        Held("app", "pip", "1.0", "2.0", _YOUNG, _ELIGIBLE),
        Held("dep", "pip", "1.0", "2.0", _YOUNG, _ELIGIBLE),
        Held("my_lib", "conda", "1.0", "2.0", _YOUNG, _ELIGIBLE),
        Held("other", "conda", "1.0", "2.0", _YOUNG, _ELIGIBLE),
    )
    pages = dict(toolbox.package_index.look(asked_of(lock)).pages)
    del pages["dep"]
    assert "dep" not in {each.name for each in held_by_cooldown(lock, toolbox, pages)}


@pytest.mark.parametrize(
    ("policy", "names"),
    [
        ({"cooldown": "0"}, set()),
        ({"cooldown": "12 hours"}, set()),
        ({"cooldown-exceptions": ["My.Lib", "app"]}, {"other", "dep"}),
    ],
)
def test_what_the_policy_does_not_hold(
    stocked: Scene, policy: dict[str, object], names: set[str]
) -> None:
    lock, toolbox = _held(stocked, **policy)
    assert {each.name for each in held_by_cooldown(lock, toolbox)} == names


def test_what_the_spec_forbids_is_not_held_by_the_cool_down(stocked: Scene) -> None:
    asked: dict[str, Any] = {"conda": ("my_lib <2",), "pip": ("app<2",)}
    lock = stocked.lock(**asked).lock
    found = held_by_cooldown(lock, stocked.toolbox(**asked))
    assert {each.name for each in found} == {"other", "dep"}


def test_an_index_or_a_channel_that_cannot_be_read_is_an_error(stocked: Scene) -> None:
    with running(ChannelServer(stocked.channel.root)) as server:
        stocked.channel_url = server.url
        lock, toolbox = _held(stocked)
        server.fault = "500"
        with pytest.raises(ChannelUnreachableError):
            held_by_cooldown(lock, toolbox)
        server.fault = None
        stocked.index.fault = "500"
        with pytest.raises(IndexUnreachableError):
            held_by_cooldown(lock, toolbox)
        stocked.index.fault = None
        assert len(held_by_cooldown(lock, toolbox)) == 4


def test_the_host_channel_is_held_and_freed_like_any_other(scene: Scene) -> None:
    scene.channel_url = dead_url()
    for name in ("lib", "tool", "app"):
        scene.offer_pip(name, "1.0")
        scene.offer_pip(name, "2.0", released=_YOUNG)
    asked: dict[str, Any] = {"conda": ("lib", "tool <2"), "pip": ("app",)}
    host = {"channel-fallback": "host"}
    first = scene.lock(**asked, policy=host)
    assert {each.version for each in first.lock.packages if each.name in ("lib", "app")} == {"1.0"}
    assert held_by_cooldown(first.lock, scene.toolbox(**asked, policy=host)) == (
        Held("app", "pip", "1.0", "2.0", _YOUNG, _ELIGIBLE),
        Held("lib", "conda", "1.0", "2.0", _YOUNG, _ELIGIBLE),
    )
    freed = scene.lock(**asked, policy=host | {"cooldown-exceptions": ["lib"]}, upgrade=None)
    assert (versions_of(freed)["lib"], versions_of(freed)["app"]) == ("2.0", "1.0")


def test_what_conda_gives_no_date_for_is_told(stocked: Scene) -> None:
    make_conda_package(stocked.channel.root, "timeless", "1.0")
    stocked.lock(conda=("timeless", "my_lib"))
    line = "conda: the channels give no date for timeless; no cool-down holds these back"
    assert line in stocked.said
    stocked.lock(conda=("timeless", "my_lib"), policy={"cooldown": "0"}, upgrade=None)
    assert line not in stocked.said
