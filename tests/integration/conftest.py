"""Fixtures of the integration tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from elt_env.model.lock import Lock
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.locking import LONG_AGO, Scene
from tests.support.loopback import running
from tests.support.sample import Sample, make_sample


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
