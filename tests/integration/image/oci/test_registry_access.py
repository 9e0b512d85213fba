from __future__ import annotations

import base64
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from elt_env.errors import CertificateError, RegistryError
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.registry import Registry
from elt_env.image.reference import Reference
from elt_env.image.spec import Descriptor
from tests.support.loopback import Reply, running
from tests.support.registry_proxy import FaultProxy, Storage
from tests.support.registry_server import (
    PASSWORD,
    USER,
    Certificate,
    TokenServer,
    docker_registry,
    needs_registry,
)
from tests.support.said import Said
from tests.support.small_images import random_image

pytestmark = needs_registry

REGISTRY = Registry(backoff=0.05, limit=60)
Image = tuple[Layout, Descriptor]
LogIn = Callable[..., None]
_BASIC = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """A small image."""
    return random_image(tmp_path / "layout", 20_000)


def test_the_stored_password_opens_a_registry(
    closed_registry: str, image: Image, log_in: LogIn, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    log_in(closed_registry)
    reference = Reference(closed_registry, "team/elt", "one")

    REGISTRY.push(manifest, layout, reference, ["one"], said)
    pulled = REGISTRY.pull(reference, Layout(tmp_path / "pulled"), said)

    assert pulled.digest == manifest.digest


def test_a_helper_gives_the_password(  # noqa: PLR0917  # fixtures
    closed_registry: str,
    image: Image,
    docker_config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: Said,
) -> None:
    layout, manifest = image
    helper = tmp_path / "bin" / "docker-credential-test"
    helper.parent.mkdir()
    helper.write_text(
        '#!/bin/sh\nread host\n[ "$1 $host" = "get ' + closed_registry + '" ] || exit 1\n'
        f"""echo '{{"Username": "{USER}", "Secret": "{PASSWORD}"}}'\n"""
    )
    helper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{helper.parent}:/usr/bin:/bin")
    docker_config.parent.mkdir()
    docker_config.write_text('{"credsStore": "test"}')

    REGISTRY.push(manifest, layout, Reference(closed_registry, "a"), ["one"], said)


def test_a_wrong_password_is_refused_and_nowhere_to_be_read(  # noqa: PLR0917  # fixtures
    closed_registry: str,
    image: Image,
    log_in: LogIn,
    docker_config: Path,
    caplog: pytest.LogCaptureFixture,
    said: Said,
) -> None:
    layout, manifest = image
    caplog.set_level(logging.DEBUG)
    log_in(closed_registry, password="wr0ng-" + PASSWORD)

    with pytest.raises(RegistryError) as raised:
        REGISTRY.push(manifest, layout, Reference(closed_registry, "a"), ["one"], said)

    assert "does not let this push to" in raised.value.problem
    assert "HTTP 401" in raised.value.problem
    assert f"The credentials were those of {docker_config}" in raised.value.problem
    assert f"docker login {closed_registry}" in raised.value.remedy
    shown = f"{raised.value!r} {raised.value} {caplog.text} {said}"
    encoded = base64.b64encode(f"{USER}:wr0ng-{PASSWORD}".encode()).decode()
    assert not [each for each in ("wr0ng", PASSWORD, encoded) if each in shown]


def test_without_credentials_it_is_said_where_they_were_looked_for(
    closed_registry: str, image: Image, docker_config: Path, said: Said
) -> None:
    layout, manifest = image

    with pytest.raises(RegistryError, match="No credentials were found") as raised:
        REGISTRY.push(manifest, layout, Reference(closed_registry, "a"), ["one"], said)

    assert f"{docker_config} (not there)" in raised.value.problem


@pytest.fixture
def token_registry(certificate: Certificate, tmp_path: Path) -> Iterator[tuple[str, TokenServer]]:
    """A registry that wants tokens, and the server that gives them."""
    with (
        running(TokenServer(certificate, "team/elt")) as tokens,
        docker_registry(tmp_path / "registry", tokens=tokens) as host,
    ):
        yield host, tokens


def test_a_token_is_fetched_with_the_password_and_renewed(
    token_registry: tuple[str, TokenServer], image: Image, log_in: LogIn, said: Said
) -> None:
    layout, manifest = image
    host, tokens = token_registry
    with FaultProxy(host) as proxy:
        log_in(proxy.host)
        reference = Reference(proxy.host, "team/elt")
        challenge = f'Bearer realm="{tokens.base_url}/token",service="registry.test"'
        expired = Reply(401, headers={"WWW-Authenticate": challenge})
        proxy.only = lambda asked: asked.method == "PUT"
        proxy.faults.append(expired)

        REGISTRY.push(manifest, layout, reference, ["one"], said)

    assert tokens.requests["/token"] >= 2
    sent = [each.headers.get("authorization", "") for each in proxy.asked]
    assert not [each for each in sent if each.startswith("Basic")]
    assert sent[-1].startswith("Bearer ")


def test_a_token_server_that_refuses(
    token_registry: tuple[str, TokenServer], image: Image, log_in: LogIn, said: Said
) -> None:
    layout, manifest = image
    host, _ = token_registry
    log_in(host, USER, "wr0ng")

    with pytest.raises(RegistryError, match="The credentials were those of"):
        REGISTRY.push(manifest, layout, Reference(host, "team/elt"), ["one"], said)


def test_credentials_stay_with_the_registry(
    closed_registry: str, image: Image, log_in: LogIn, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    with FaultProxy(closed_registry) as proxy, running(Storage()) as storage:
        log_in(proxy.host)
        reference = Reference(proxy.host, "team/elt", "one")
        REGISTRY.push(manifest, layout, reference, ["one"], said)
        layer = next(each for each in proxy.asked if each.method == "HEAD").path
        digest = layer.rpartition("/")[2]
        proxy.only = lambda asked: asked.path == layer
        data = layout.blob_path(digest).read_bytes()
        proxy.faults.append(Reply(307, headers={"Location": storage.add(data)}))

        REGISTRY.pull(reference, Layout(tmp_path / "pulled"), said)

    assert proxy.asked[-1].headers["authorization"] == f"Basic {_BASIC}"
    assert [each for each in storage.headers if "authorization" in each] == []
    assert len(storage.headers) == 1


def test_a_storage_that_asks_for_credentials_gets_none(
    closed_registry: str, image: Image, log_in: LogIn, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    with FaultProxy(closed_registry) as proxy, running(Storage()) as storage:
        log_in(proxy.host)
        reference = Reference(proxy.host, "team/elt", "one")
        REGISTRY.push(manifest, layout, reference, ["one"], said)
        challenge = f'Bearer realm="{storage.base_url}/token"'
        storage.refusal = Reply(401, headers={"WWW-Authenticate": challenge})
        proxy.only = lambda asked: "/blobs/" in asked.path
        proxy.faults.extend([Reply(307, headers={"Location": storage.add(b"")})] * 20)

        with pytest.raises(RegistryError, match=r"its storage at 127\.0\.0\.1 answered HTTP 401"):
            REGISTRY.pull(reference, Layout(tmp_path / "pulled"), said)

    assert "/token" not in storage.requests
    assert [each for each in storage.headers if "authorization" in each] == []


@pytest.fixture
def encrypted_registry(certificate: Certificate, tmp_path: Path) -> Iterator[str]:
    """A registry with the self-made certificate."""
    with docker_registry(tmp_path / "registry", certificate=certificate) as host:
        yield host


def test_the_certificate_has_to_be_trusted(
    encrypted_registry: str,
    certificate: Certificate,
    image: Image,
    monkeypatch: pytest.MonkeyPatch,
    said: Said,
) -> None:
    layout, manifest = image
    reference = Reference(encrypted_registry, "team/elt")
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)

    with pytest.raises(CertificateError, match=r"certificate of .* it is signed by itself") as no:
        REGISTRY.push(manifest, layout, reference, ["one"], said)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.certificate))
    pushed = REGISTRY.push(manifest, layout, reference, ["one"], said)

    assert "SSL_CERT_FILE" in no.value.remedy
    assert pushed.blobs_sent == 2
