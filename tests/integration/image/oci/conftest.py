"""Fixtures: registries, a proxy before one, a small image, and no credentials but a test's own."""

from __future__ import annotations

import base64
import itertools
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from elt_env.image.oci.layout import Layout
from elt_env.image.reference import Reference
from elt_env.image.spec import Descriptor
from tests.support.registry_proxy import FaultProxy
from tests.support.registry_server import (
    PASSWORD,
    USER,
    Certificate,
    docker_registry,
    make_certificate,
)
from tests.support.said import Said
from tests.support.small_images import random_image

_repositories = (f"team/elt-{number}" for number in itertools.count())


@pytest.fixture(scope="session")
def plain_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that everyone may use."""
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture(scope="session")
def closed_registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A registry that wants the password."""
    with docker_registry(tmp_path_factory.mktemp("closed"), password=True) as host:
        yield host


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate of 127.0.0.1 that nobody trusts yet."""
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def proxy(plain_registry: str) -> Iterator[FaultProxy]:
    """A proxy before the plain registry."""
    with FaultProxy(plain_registry) as server:
        yield server


@pytest.fixture
def repository(plain_registry: str) -> Reference:
    """An empty repository of the plain registry."""
    return Reference(plain_registry, next(_repositories))


@pytest.fixture
def behind_proxy(proxy: FaultProxy) -> Reference:
    """An empty repository of the plain registry, behind the proxy."""
    return Reference(proxy.host, next(_repositories))


@pytest.fixture
def image(tmp_path: Path) -> tuple[Layout, Descriptor]:
    """An image with layers of 100, 200 and 3,000 kB."""
    return random_image(tmp_path / "layout", 100_000, 200_000, 3_000_000)


@pytest.fixture(autouse=True)
def docker_config(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The path of this test's own config.json, which is not there."""
    monkeypatch.delenv("REGISTRY_AUTH_FILE", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    return tmp_path / "docker" / "config.json"


@pytest.fixture
def log_in(docker_config: Path) -> Callable[..., None]:
    """Store a password for a registry, as `docker login` does."""

    def store(host: str, user: str = USER, password: str = PASSWORD) -> None:
        auth = base64.b64encode(f"{user}:{password}".encode()).decode()
        docker_config.parent.mkdir(exist_ok=True)
        docker_config.write_text(json.dumps({"auths": {host: {"auth": auth}}}))

    return store


@pytest.fixture
def said() -> Said:
    """Receives the lines of progress."""
    return Said()
