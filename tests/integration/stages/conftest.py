"""Fixtures of the stages' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, Scene, fill


@pytest.fixture(scope="session")
def hollow_python(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """A channel whose Pythons hold nothing: they solve and lock; not to be changed."""
    channel = Channel(tmp_path_factory.mktemp("hollow") / "channel")
    for version in ("3.11.5", "3.12.1"):
        make_conda_package(channel.root, "python", version, subdir="linux-64", timestamp=LONG_AGO)
    channel.index()
    return channel


@pytest.fixture
def scene(hollow_python: Channel, index: IndexServer, tmp_path: Path) -> Scene:
    """Somewhere to lock, with nothing but Python on offer."""
    return Scene(tmp_path, hollow_python.linked_copy(tmp_path / "channel"), index)


@pytest.fixture
def filled(scene: Scene) -> Scene:
    """A scene with something to lock; see `lock_example`."""
    fill(scene)
    return scene
