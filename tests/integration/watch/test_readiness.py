"""Looks at Pythons against a local channel and index."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from elt_env.lock.make import lock
from elt_env.machine.platform import target_here
from elt_env.tools import Tools
from elt_env.watch.readiness import Look, Readiness, judge
from elt_env.watch.store import ReadinessStore
from elt_env.watch.trial import examine_python, pythons_to_examine
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, Scene
from tests.support.project import ENVIRONMENT, at_moment
from tests.support.said import Said
from tests.support.wheels import make_sdist, make_wheel

MOMENT = datetime(2026, 11, 21, tzinfo=timezone.utc)
OTHER = "3.12"  # the policy lists 3.11 alone
_FAILS = "import sys\nif sys.version_info >= (3, 12):\n    raise ImportError('no asyncore')\n"


def look(toolbox: Tools, *, at: datetime = MOMENT, said: Said | None = None) -> Readiness:
    """Look at the other Python, at a moment."""
    say = said if said is not None else Said()
    return examine_python(ENVIRONMENT, OTHER, at_moment(toolbox, at), say)


def shown(readiness: Readiness) -> list[str]:
    return [str(each) for each in readiness.blocked_by]


def offer(scene: Scene, name: str, version: str, **properties: Any) -> None:
    """Offer a wheel with these properties."""
    wheel = make_wheel(scene.root / "wheels", name, version, **properties)
    scene.index.add(wheel, uploaded=LONG_AGO)


def offer_built(scene: Scene, name: str, version: str, depends: Sequence[str]) -> None:
    """Offer a conda package that was built for one Python."""
    make_conda_package(
        scene.channel.root,
        name,
        version,
        build="py311_0",
        subdir="linux-64",
        depends=depends,
        timestamp=LONG_AGO,
    )
    scene.channel.index()


def test_a_missing_wheel_is_named_with_who_needs_it(scene: Scene) -> None:
    offer(scene, "top", "1.0", requires=["mid>=1"])
    offer(scene, "mid", "1.0", requires=["low"])
    offer(scene, "low", "1.0", tag="cp311-cp311-manylinux_2_17_x86_64")
    scene.index.add(make_sdist(scene.root / "sdists", "low", "1.0"), uploaded=LONG_AGO)
    scene.index.add(make_sdist(scene.root / "sdists", "alone", "2.0"), uploaded=LONG_AGO)
    offer(scene, "fine", "1.0")
    toolbox = scene.toolbox(pip=["alone<3", "fine", "top"])
    found = look(toolbox)
    assert (found.verdict, found.reached, found.python_version) == ("not ready", None, "3.12.1")
    assert shown(found) == [
        "missing wheel: alone <3",
        "missing wheel: top → mid ==1.0 → low",
    ]
    again = look(toolbox, at=MOMENT + timedelta(days=1))
    assert (again.since, again.at) == (MOMENT, MOMENT + timedelta(days=1))


def test_who_pins_what(scene: Scene) -> None:
    offer(scene, "low", "1.0")
    offer(scene, "low", "2.0")
    offer(scene, "old", "1.0", requires=["low<2"])
    offer(scene, "new", "1.0", requires=["low>=2; python_version >= '3.12'"])
    found = look(scene.toolbox(pip=["new", "old"]))
    assert set(shown(found)) == {"pin: new → low >=2", "pin: old → low <2"}


def test_a_missing_conda_build_is_told_from_a_declared_bound(scene: Scene) -> None:
    offer_built(scene, "gamma", "1.0", ["python >=3.11,<3.12.0a0"])
    scene.offer_conda("delta", "2.0", depends=["python", "gamma >=1"])
    scene.offer_conda("noarch", "1.0", depends=["python >=3.9,<3.12"])
    scene.offer_conda("fine", "1.0")
    found = look(scene.toolbox(conda=["delta", "fine", "noarch"]))
    assert (found.verdict, found.reached) == ("not ready", None)
    assert shown(found) == [
        "missing conda build: delta 2.0 → gamma 1.0 → python >=3.11,<3.12.0a0",
        "declared bound: noarch 1.0 → python >=3.9,<3.12",
    ]


def test_a_python_that_the_channel_does_not_have(scene: Scene) -> None:
    scene.offer_conda("lib", "1.0")
    scene.offer_conda("six", "1.0")
    toolbox = scene.toolbox(conda=["lib", "six"])
    found = examine_python(ENVIRONMENT, "3.20", toolbox, print)
    assert shown(found) == ["missing conda build: python 3.20"]


def test_the_bound_of_the_spec_itself(scene: Scene) -> None:
    found = look(scene.toolbox(conda=["python <3.12"]))
    assert shown(found) == ["pin: python <3.12"]
    assert "environments/elt.yml" in found.blocked_by[0].text


def test_conda_and_pip_that_do_not_agree(scene: Scene) -> None:
    scene.offer_both("lib", "1.0", "2.0")
    offer(scene, "tool", "1.0", requires=["lib<2; python_version >= '3.12'"])
    offer(scene, "top", "1.0", requires=["tool"])
    found = look(scene.toolbox(conda=["lib>=2"], pip=["top"]))
    assert shown(found) == ["pin: top 1.0 → tool 1.0 → lib <2"]


def test_without_an_interpreter_pips_half_is_looked_at_alone(scene: Scene) -> None:
    offer(scene, "top", "1.0", requires=["mid"])
    offer(scene, "mid", "1.0", requires_python=">=3.9,<3.20")
    scene.channel_url = "http://127.0.0.1:9/channel"
    policy = {"channel-fallback": "host", "cooldown": "0"}
    toolbox = scene.toolbox(pip=["top"], policy=policy)
    found = examine_python(ENVIRONMENT, "3.20", toolbox, print)
    assert (found.verdict, found.reached) == ("not ready", None)
    assert shown(found) == [
        "declared bound: top 1.0 → mid 1.0 → python <3.20,>=3.9",
        "interpreter missing: python 3.20",
    ]
    offer(scene, "mid", "2.0", requires_python=">=3.9")
    again = examine_python(ENVIRONMENT, "3.20", toolbox, print)
    assert again.verdict == "not ready"
    assert "no Python 3.20 on this machine" in again.doubt


def test_an_index_that_is_down_is_no_verdict(scene: Scene) -> None:
    offer(scene, "top", "1.0")
    scene.index.fault = "500"
    said = Said()
    found = look(scene.toolbox(pip=["top"]), said=said)
    assert (found.verdict, found.blocked_by) == ("unknown", ())
    assert scene.index.url in found.doubt
    assert "incomplete" in said[-1]


def test_what_is_worth_a_look(scene: Scene) -> None:
    toolbox = scene.toolbox()
    assert pythons_to_examine(ENVIRONMENT, toolbox, print) == ("3.11", "3.12")
    earlier = judge(None, ENVIRONMENT, "3.9", Look(), MOMENT)
    ReadinessStore(toolbox.store.documents).write(earlier)
    assert pythons_to_examine(ENVIRONMENT, toolbox, print) == ("3.9", "3.11", "3.12")
    scene.channel_url = "http://127.0.0.1:9/channel"
    said = Said()
    assert pythons_to_examine(ENVIRONMENT, scene.toolbox(), said) == ("3.9", "3.11")
    assert "the newest Python is not known" in said[0]


@pytest.fixture
def real(python_channel: Channel, index: IndexServer, tool_caches: object, tmp_path: Any) -> Scene:
    """Somewhere to lock and to build, with real Pythons."""
    del tool_caches
    if not list(python_channel.root.glob(f"*/python-{OTHER}.*")):
        pytest.skip(f"this machine has no Python {OTHER}")
    return Scene(tmp_path, python_channel, index)


def test_from_blocked_to_ready_and_through_an_outage(real: Scene) -> None:
    offer(real, "top", "1.0", requires=["mid", "low<2"])
    offer(real, "mid", "1.0", requires_python=">=3.9,<3.12")
    offer(real, "low", "1.0", files={"low/__init__.py": "", "low.py": "", "bad.py": _FAILS})
    toolbox = real.toolbox(pip=["top"])

    blocked = look(toolbox)
    assert (blocked.verdict, blocked.reached) == ("not ready", None)
    assert shown(blocked) == ["declared bound: top 1.0 → mid 1.0 → python <3.12,>=3.9"]

    offer(real, "mid", "1.1")
    broken = look(toolbox)
    assert (broken.verdict, broken.reached) == ("not ready", "installed")
    assert shown(broken) == ["import failure: top 1.0 → low <2"]
    assert "bad of low 1.0 does not import: ImportError: no asyncore" in broken.blocked_by[0].text

    offer(real, "low", "1.1")
    ready = look(toolbox, at=MOMENT + timedelta(days=3))
    assert (ready.verdict, ready.reached, ready.blocked_by) == ("ready", "proven", ())
    assert ready.since == ready.at
    assert ready.lock is not None
    assert toolbox.store.pointer(target_here(ENVIRONMENT, OTHER)) is None

    real.index.fault = "500"
    during = look(toolbox, at=MOMENT + timedelta(days=4))
    assert (during.verdict, during.since, during.lock) == ("ready", ready.since, ready.lock)
    assert real.index.url in during.doubt
    real.index.fault = None

    listed = real.toolbox(pip=["top"], pythons=("3.11", OTHER))
    lock(target_here(ENVIRONMENT, OTHER), listed, print)
    real.index.requests.clear()
    said = Said()
    told = look(listed, at=MOMENT + timedelta(days=5), said=said)
    assert (told.verdict, told.since, told.doubt) == ("ready", ready.since, "")
    assert not real.index.requests
    assert not [line for line in said if "checking" in line]
