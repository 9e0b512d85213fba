"""Fixtures of the tests with real tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from elt_env.conda.rattler_tool import Rattler
from tests.support.channel import Channel, ChannelServer
from tests.support.index_server import IndexServer
from tests.support.locking import Scene, fill
from tests.support.loopback import running
from tests.support.resolving import Shelf
from tests.support.s3_server import S3Server, s3_server
from tests.support.solving import make_small_channel

_LIMIT = 120.0


@pytest.fixture
def shelf(index: IndexServer, tmp_path: Path) -> Shelf:
    """An index with nothing on it."""
    return Shelf(index, tmp_path / "shelf")


@pytest.fixture(scope="session")
def shared_packages(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """A channel with a few packages; not to be changed."""
    return make_small_channel(tmp_path_factory.mktemp("packages") / "channel")


@pytest.fixture
def packages(shared_packages: Channel, tmp_path: Path) -> Channel:
    """A copy of it, of this test's own."""
    return shared_packages.linked_copy(tmp_path / "channel")


@pytest.fixture
def server(packages: Channel) -> Iterator[ChannelServer]:
    """A server of that copy."""
    with running(ChannelServer(packages.root)) as server:
        yield server


@pytest.fixture
def conda(tmp_path: Path) -> Rattler:
    """Rattler, with caches of this test's own."""
    return Rattler(tmp_path / "cache", None, _LIMIT)


@pytest.fixture
def private_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home directory without settings, in which every tool keeps its caches."""
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / ".cache"))
    monkeypatch.setenv("UV_CACHE_DIR", str(home / "uv"))
    for name in ("XDG_CONFIG_HOME", "NETRC", "RATTLER_AUTH_FILE", "CONDARC", "PIP_CONFIG_FILE"):
        monkeypatch.delenv(name, raising=False)
    return home


@pytest.fixture
def filled(scene: Scene) -> Scene:
    """A scene with something to lock; see `lock_example`."""
    fill(scene)
    return scene


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """A real S3 server with an empty bucket."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server
