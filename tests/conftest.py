"""Fixtures for all tests, and the walls around them."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from elt_env.lockfile.document import Lock
from tests.support.channel import Channel, ChannelServer
from tests.support.conda_packages import make_conda_package
from tests.support.disks import small_disk, unwritable_directory
from tests.support.index_server import IndexServer
from tests.support.isolation import (
    MACHINE_CACHE,
    clear_settings,
    forbid_processes_and_sockets,
    use_own_caches,
)
from tests.support.locking import LONG_AGO, Scene
from tests.support.loopback import running
from tests.support.python_channel import shared_directory, shared_python_channel
from tests.support.sample import Sample, make_sample

_UNIT = Path(__file__).parent / "unit"


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marks that tests carry."""
    config.addinivalue_line("markers", "registry: needs the package registry of this machine")


def pytest_sessionstart() -> None:
    """Let Ctrl-C reach the commands of tests.

    A shell starts what it runs in the background with SIGINT ignored, which every child inherits.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if in_main and signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _walls_around_shared_fixtures() -> Iterator[None]:
    """Keep what several tests share out of the caches of who runs them."""
    with pytest.MonkeyPatch.context() as patch:
        use_own_caches(patch)
        # What the registry has sent once is not asked for again.
        patch.setenv("UV_CACHE_DIR", os.environ.get("UV_CACHE_DIR", str(MACHINE_CACHE / "uv")))
        yield


@pytest.fixture(autouse=True)
def _walls(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Give every test the same settings, and keep unit tests from processes and sockets."""
    needs_registry = request.node.get_closest_marker("registry") is not None
    clear_settings(monkeypatch, keep_registry=needs_registry)
    if request.path.is_relative_to(_UNIT):
        forbid_processes_and_sockets(monkeypatch)


@pytest.fixture
def tool_caches(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Give pip and uv caches of this test's own, and none of the machine's pip settings.

    A port can be used again by the next test's index, so a shared cache would answer for it.
    """
    caches = tmp_path / "caches"
    monkeypatch.setenv("UV_CACHE_DIR", str(caches / "uv"))
    monkeypatch.setenv("PIP_CACHE_DIR", str(caches / "pip"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    return caches


@pytest.fixture
def index(tool_caches: Path) -> Iterator[IndexServer]:
    """An empty package index on 127.0.0.1."""
    del tool_caches
    with running(IndexServer()) as server:
        yield server


@pytest.fixture
def channel(tmp_path: Path) -> Channel:
    """An empty conda channel, indexed."""
    empty = Channel(tmp_path / "channel")
    empty.index()
    return empty


@pytest.fixture
def channel_server(channel: Channel) -> Iterator[ChannelServer]:
    """A server of `channel` on 127.0.0.1."""
    with running(ChannelServer(channel.root)) as server:
        yield server


@pytest.fixture(scope="session")
def shared_python(tmp_path_factory: pytest.TempPathFactory) -> Channel:
    """The channel with real Pythons; not to be changed."""
    return shared_python_channel(shared_directory(tmp_path_factory))


@pytest.fixture
def python_channel(shared_python: Channel, tmp_path: Path) -> Channel:
    """A channel of this test's own with real Pythons."""
    return shared_python.linked_copy(tmp_path / "python-channel")


@pytest.fixture
def no_space(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A directory on a disk of 256 KiB, or of the size given by indirect parametrization."""
    with small_disk(tmp_path / "small-disk", getattr(request, "param", "256k")) as directory:
        yield directory


@pytest.fixture
def unwritable(tmp_path: Path) -> Iterator[Path]:
    """An empty directory in which nothing can be written, not even by root."""
    with unwritable_directory(tmp_path / "unwritable") as directory:
        yield directory


@pytest.fixture(scope="session")
def shared_sample(
    shared_python: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sample]:
    """A sample that tests may add to, but not take from."""
    with running(IndexServer()) as index:
        yield make_sample(tmp_path_factory.mktemp("sample"), shared_python, index)


@pytest.fixture
def sample(shared_sample: Sample, tool_caches: Path) -> Iterator[Sample]:
    """The sample, with an index that is well and was not asked for anything."""
    del tool_caches
    shared_sample.index.requests.clear()
    yield shared_sample
    shared_sample.index.fault = None


@pytest.fixture(scope="session")
def sample_lock(shared_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Lock:
    """A lock of `tally` from conda and of `alpha` and `beta` from pip."""
    with pytest.MonkeyPatch.context() as patch:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        return shared_sample.lock(conda=["tally"], pip=["alpha"])


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
