from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from elt_env.errors import InputError, IntegrityError, RegistryError
from elt_env.image import spec as oci
from elt_env.image.oci.attachments import attach
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.registry import Registry
from elt_env.image.reference import Reference
from elt_env.image.spec import Descriptor, Manifest
from tests.support.loopback import Reply
from tests.support.registry_proxy import FaultProxy
from tests.support.registry_server import needs_registry
from tests.support.said import Said
from tests.support.small_images import make_image, random_layer

pytestmark = needs_registry

REGISTRY = Registry(backoff=0.05, limit=60)
Image = tuple[Layout, Descriptor]


def _tagged(reference: Reference, tag: str) -> httpx.Response:
    url = f"http://{reference.registry}/v2/{reference.repository}/manifests/{tag}"
    return httpx.get(url, headers={"Accept": f"{oci.MANIFEST}, {oci.INDEX}"})


def test_a_round_trip_keeps_the_digest(
    repository: Reference, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image

    pushed = REGISTRY.push(manifest, layout, repository, ["3.11", "abc"], said)
    other = Layout(tmp_path / "pulled")
    pulled = REGISTRY.pull(repository.at("3.11"), other, said)

    assert pushed.digest == manifest.digest == pulled.digest
    assert pushed.blobs_sent == 4
    assert pushed.blobs_there == 0
    content = oci.parse_manifest(other.read(pulled))
    assert pushed.bytes_sent == sum(each.size for each in (content.config, *content.layers))
    assert all(other.intact(each) for each in (content.config, *content.layers))
    for tag in ("3.11", "abc"):
        assert _tagged(repository, tag).content == layout.read(manifest)
    assert any("of 3 MB" in each for each in said)


def test_a_second_push_sends_no_blob(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said
) -> None:
    layout, manifest = image
    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)
    proxy.asked.clear()

    pushed = REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)

    assert (pushed.blobs_sent, pushed.bytes_sent, pushed.blobs_there) == (0, 0, 4)
    assert not proxy.methods("POST", "PATCH")


def test_one_changed_layer_is_all_that_is_sent(
    repository: Reference, image: Image, said: Said
) -> None:
    layout, manifest = image
    REGISTRY.push(manifest, layout, repository, ["one"], said)
    names = [random_layer(layout, size, seed) for size, seed in ((100_000, 0), (200_000, 1))]
    changed = make_image(layout, [*names, random_layer(layout, 50_000, 7)])

    pushed = REGISTRY.push(changed, layout, repository, ["two"], said)

    assert pushed.blobs_sent == 2  # the layer and the config
    assert pushed.bytes_sent < 60_000
    assert _tagged(repository, "one").content == layout.read(manifest)


def test_a_damaged_blob_is_named_and_nothing_is_tagged(
    repository: Reference, image: Image, said: Said
) -> None:
    layout, manifest = image
    layer = oci.parse_manifest(layout.read(manifest)).layers[1]
    path = layout.blob_path(layer.digest)
    data = bytearray(path.read_bytes())
    data[1000] ^= 1
    path.write_bytes(data)

    with pytest.raises(IntegrityError, match=layer.digest):
        REGISTRY.push(manifest, layout, repository, ["one"], said)

    assert _tagged(repository, "one").status_code == 404


def test_an_sbom_is_among_the_referrers_of_the_image(
    repository: Reference, image: Image, said: Said
) -> None:
    layout, manifest = image
    first = attach(layout, manifest, b'{"a": 1}', name="sample.sbom")
    second = attach(layout, manifest, b'{"a": 2}', name="sample.other")

    for each in (first, second, second):
        REGISTRY.push(manifest, layout, repository, ["one"], said, referrers=[each])

    answer = _tagged(repository, manifest.digest.replace(":", "-"))
    assert answer.headers["content-type"] == oci.INDEX
    listed = answer.json()["manifests"]
    assert [each["digest"] for each in listed] == [first.digest, second.digest]
    assert {each["artifactType"] for each in listed} == {first.artifact_type}
    assert _tagged(repository, first.digest).content == layout.read(first)


def test_a_registry_with_a_referrers_api_lists_them_itself(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said
) -> None:
    layout, manifest = image
    artifact = attach(layout, manifest, b"{}", name="sample.sbom")
    proxy.only = lambda asked: asked.path.endswith(f"/manifests/{artifact.digest}")
    proxy.faults.append(Reply(201, headers={"OCI-Subject": manifest.digest}))

    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said, referrers=[artifact])

    assert _tagged(behind_proxy, manifest.digest.replace(":", "-")).status_code == 404


def test_an_index_gives_the_image_of_the_platform(
    repository: Reference, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    REGISTRY.push(manifest, layout, repository, [], said)
    entry = manifest.to_json() | {"platform": {"os": "linux", "architecture": "amd64"}}
    index = {"schemaVersion": 2, "mediaType": oci.INDEX, "manifests": [entry]}
    url = f"http://{repository.registry}/v2/{repository.repository}/manifests/many"
    put = httpx.put(url, content=json.dumps(index), headers={"Content-Type": oci.INDEX})
    assert put.status_code == 201

    other = Layout(tmp_path / "pulled")
    assert REGISTRY.pull(repository.at("many"), other, said).digest == manifest.digest
    with pytest.raises(RegistryError, match="no image for linux/arm64, only for: linux/amd64"):
        REGISTRY.pull(repository.at("many"), other, said, platform=("linux", "arm64"))


def test_a_manifest_of_docker_is_pulled_as_it_is(
    repository: Reference, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    REGISTRY.push(manifest, layout, repository, [], said)
    content = json.loads(layout.read(manifest))
    content["mediaType"] = oci.DOCKER_MANIFEST
    content["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
    for each in content["layers"]:
        each["mediaType"] = oci.DOCKER_LAYER_GZIP
    data = json.dumps(content, indent=3).encode()
    url = f"http://{repository.registry}/v2/{repository.repository}/manifests/docker"
    put = httpx.put(url, content=data, headers={"Content-Type": oci.DOCKER_MANIFEST})
    assert put.status_code == 201

    other = Layout(tmp_path / "pulled")
    pulled = REGISTRY.pull(repository.at("docker"), other, said)

    assert pulled.media_type == oci.DOCKER_MANIFEST
    assert other.read(pulled) == data


def test_what_is_there_is_not_pulled(
    behind_proxy: Reference, proxy: FaultProxy, image: Image, said: Said
) -> None:
    layout, manifest = image
    REGISTRY.push(manifest, layout, behind_proxy, ["one"], said)
    largest = max(oci.parse_manifest(layout.read(manifest)).layers, key=lambda each: each.size)
    layout.blob_path(largest.digest).write_bytes(b"damaged")
    proxy.asked.clear()

    REGISTRY.pull(behind_proxy.at(manifest.digest), layout, said)

    fetched = [each.path for each in proxy.asked if "/blobs/" in each.path]
    assert [each.rpartition("/")[2] for each in fetched] == [largest.digest]
    assert layout.intact(largest)


def test_an_image_that_is_not_there(repository: Reference, tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="no such repository or image") as raised:
        REGISTRY.pull(repository.at("none"), Layout(tmp_path / "pulled"), print)

    assert repository.repository in raised.value.problem
    assert not (tmp_path / "pulled").exists()


def test_a_repository_name_the_registry_does_not_take(
    behind_proxy: Reference, proxy: FaultProxy, image: Image
) -> None:
    layout, manifest = image
    proxy.only = lambda asked: asked.method == "POST"
    body = b'{"errors": [{"code": "NAME_INVALID", "message": "invalid repository name"}]}'
    proxy.faults.extend([Reply(400, body)] * 4)

    with pytest.raises(InputError, match=r"does not take .* for the name of a repository"):
        REGISTRY.push(manifest, layout, behind_proxy, ["one"], print)


def test_a_registry_without_room(behind_proxy: Reference, proxy: FaultProxy, image: Image) -> None:
    layout, manifest = image
    proxy.only = lambda asked: asked.method == "PUT"
    body = b'{"errors": [{"code": "DENIED", "message": "project quota exceeded"}]}'
    proxy.faults.extend([Reply(403, body)] * 4)

    with pytest.raises(RegistryError, match=r"has no room for .*project quota exceeded"):
        REGISTRY.push(manifest, layout, behind_proxy, ["one"], print)


def test_a_registry_that_changes_manifests_is_found_out(
    behind_proxy: Reference, proxy: FaultProxy, image: Image
) -> None:
    layout, manifest = image
    proxy.only = lambda asked: asked.method == "GET" and "/manifests/" in asked.path
    other = Manifest(oci.parse_manifest(layout.read(manifest)).config, ()).to_bytes()
    proxy.faults.append(Reply(200, other, oci.MANIFEST))

    with pytest.raises(IntegrityError, match=f"after {manifest.digest} was pushed"):
        REGISTRY.push(manifest, layout, behind_proxy, ["one"], print)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo: make system-tools")
def test_skopeo_reads_and_copies_what_was_pushed(
    repository: Reference, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    REGISTRY.push(manifest, layout, repository, ["one"], said)
    place = f"docker://{repository.at('one')}"

    inspected = json.loads(_skopeo("inspect", "--tls-verify=false", place))
    _skopeo("copy", "--src-tls-verify=false", place, f"oci:{tmp_path}/copy:one")

    assert inspected["Digest"] == manifest.digest
    assert len(inspected["Layers"]) == 3
    assert Layout(tmp_path / "copy").images()[0].digest == manifest.digest


def test_what_skopeo_pushed_is_pulled(
    repository: Reference, image: Image, tmp_path: Path, said: Said
) -> None:
    layout, manifest = image
    if shutil.which("skopeo") is None:
        pytest.skip("skopeo: make system-tools")
    target = f"docker://{repository.at('one')}"
    _skopeo("copy", "--dest-tls-verify=false", f"oci:{layout.path}:sample", target)

    pulled = REGISTRY.pull(repository.at("one"), Layout(tmp_path / "pulled"), said)

    assert pulled.digest == manifest.digest


def _skopeo(*arguments: str) -> str:
    command = ["skopeo", "--insecure-policy", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
