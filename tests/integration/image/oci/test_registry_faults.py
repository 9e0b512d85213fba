from __future__ import annotations

import time
from pathlib import Path

import pytest

from elt_env.errors import IntegrityError, RegistryError, TimeLimitError
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.registry import Registry
from elt_env.image.reference import Reference
from elt_env.image.spec import Descriptor
from tests.support.loopback import Reply, dead_url, running
from tests.support.registry_proxy import FaultProxy, Storage
from tests.support.registry_server import needs_registry
from tests.support.said import Said
from tests.support.small_images import random_image

pytestmark = needs_registry

_SIZE = 3_000_000
REGISTRY = Registry(backoff=0.05, limit=60)
Image = tuple[Layout, Descriptor]


@pytest.fixture
def image(tmp_path: Path) -> Image:
    """An image with one layer of 3 MB."""
    return random_image(tmp_path / "layout", _SIZE)


def _layer(image: Image) -> Descriptor:
    layout, manifest = image
    return oci.parse_manifest(layout.read(manifest)).layers[0]


@pytest.mark.parametrize("buffering", [True, False])
def test_a_cut_upload_is_sent_anew(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said, *, buffering: bool
) -> None:
    layout, manifest = image
    proxy.buffering = buffering
    proxy.cut_request = _SIZE // 2

    pushed = REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)

    assert pushed.digest == manifest.digest
    assert proxy.cut_request is None
    assert _SIZE * 1.4 < proxy.received < _SIZE * 1.7
    assert any("trying again" in each for each in said)


def test_a_cut_download_goes_on_where_it_stopped(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)
    proxy.sent = 0
    proxy.cut_answer = _SIZE // 2

    other = Layout(tmp_path / "pulled")
    REGISTRY.pull(behind_proxy.at("one"), other, said)

    assert other.intact(_layer(image))
    assert proxy.sent < _SIZE * 1.2
    assert any("range" in each.headers for each in proxy.asked)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_passing_refusal_is_waited_out(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said, status: int
) -> None:
    layout, manifest = image
    proxy.faults.extend([Reply(status), None, None, Reply(status), None, Reply(status)])

    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)

    assert not proxy.faults
    assert sum(f"HTTP {status}; trying again" in each for each in said) == 3


def test_a_registry_says_how_long_to_wait(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said
) -> None:
    layout, manifest = image
    proxy.faults.append(Reply(429, headers={"Retry-After": "1"}))
    started = time.monotonic()

    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)

    assert time.monotonic() - started >= 1
    assert any("trying again in 1.0 s" in each for each in said)


def test_a_registry_that_stays_broken_is_given_up(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said
) -> None:
    layout, manifest = image
    proxy.faults.extend([Reply(503)] * 20)

    with pytest.raises(RegistryError, match="HTTP 503; 5 attempts") as raised:
        REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)

    assert raised.value.retryable
    assert layout.intact(manifest)


def test_nobody_answers(image: Image, said: Said) -> None:
    layout, manifest = image
    host = dead_url().split("/")[2]

    with pytest.raises(RegistryError, match=f"{host} cannot be reached, .*refused") as raised:
        REGISTRY.push(manifest, layout, Reference(host, "elt"), ["one"], said)

    assert raised.value.exit_code == 4
    assert len(said) == 4


def test_a_name_that_is_not_known(image: Image, said: Said) -> None:
    layout, manifest = image
    reference = Reference("registry.invalid", "elt")

    with pytest.raises(RegistryError, match=r"registry\.invalid cannot be reached"):
        REGISTRY.push(manifest, layout, reference, ["one"], said)


def test_a_registry_that_hangs_ends_at_the_limit(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said
) -> None:
    layout, manifest = image
    proxy.hang = True
    started = time.monotonic()

    with pytest.raises(TimeLimitError, match="took longer than 1 s"):
        Registry(limit=1).push(manifest, layout, behind_proxy, ["one"], said)

    assert time.monotonic() - started < 4


def test_what_is_no_registry(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said
) -> None:
    layout, manifest = image
    proxy.faults.append(Reply(404, b"<!doctype html>", "text/html"))

    with pytest.raises(RegistryError, match="is no registry, or broken"):
        REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)


def test_a_blob_with_other_bytes_is_not_kept(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    layer = _layer(image)
    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)
    data = layout.read(layer)
    proxy.only = lambda asked: asked.path.endswith(layer.digest)
    proxy.faults.append(Reply(200, data[:-1] + bytes([data[-1] ^ 1])))

    other = Layout(tmp_path / "pulled")
    with pytest.raises(IntegrityError, match=f"other bytes under {layer.digest}"):
        REGISTRY.pull(behind_proxy.at("one"), other, said)

    names = {each.name for each in (other.path / "blobs" / "sha256").iterdir()}
    assert layer.digest[7:] not in names
    assert not [each for each in names if each.startswith(".")]


def test_a_redirect_to_storage_carries_no_credentials(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    layer = _layer(image)
    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)
    proxy.only = lambda asked: asked.path.endswith(layer.digest)

    with running(Storage()) as storage:
        url = storage.add(layout.read(layer))
        proxy.faults.append(Reply(307, headers={"Location": url}))
        REGISTRY.pull(behind_proxy.at("one"), Layout(tmp_path / "pulled"), said)

    assert len(storage.headers) == 1
    assert "authorization" not in storage.headers[0]


def test_a_redirect_out_of_encryption_is_not_followed(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)
    proxy.only = lambda asked: "/blobs/" in asked.path
    elsewhere = Reply(307, headers={"Location": "http://storage.invalid/blob"})
    proxy.faults.extend([elsewhere] * 2)

    with pytest.raises(RegistryError, match=r"leads to storage\.invalid without encryption"):
        REGISTRY.pull(behind_proxy.at("one"), Layout(tmp_path / "pulled"), said)
