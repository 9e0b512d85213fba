"""Fixtures of the sensors' tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from elt_env.defs.sensors.runs import claims
from tests.support.channel import Channel
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.locking import Scene
from tests.support.loopback import running
from tests.support.watching import Watched, watched


@pytest.fixture(autouse=True)
def _no_claims(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no sensor wait for a run that another test's sensor asked for."""
    monkeypatch.setattr(claims, "_held", {})


@pytest.fixture(scope="module")
def calm(hollow_python: Channel, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A watched project with `tool` and its `part`, whose lock no test changes."""
    root = tmp_path_factory.mktemp("calm")
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(root / "uv"))
        scene = Scene(root, hollow_python.linked_copy(root / "channel"), index)
        _offer_tool(scene)
        with watched(scene, pip=["tool<2"], policy={"cooldown": "3 days"}) as project:
            yield project


@pytest.fixture
def tools(scene: Scene) -> Iterator[Watched]:
    """A watched project with `tool` and its `part`, of the test's own."""
    _offer_tool(scene)
    with watched(scene, pip=["tool<2"], policy={"cooldown": "3 days"}) as project:
        yield project


def _offer_tool(scene: Scene) -> None:
    scene.offer_pip("part", "1.0")
    scene.offer_pip("tool", "1.0", requires=["part"])
