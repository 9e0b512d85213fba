from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import pytest

from elt_env.errors import InputError, RegistryError, ToolError
from elt_env.image import spec as oci
from elt_env.image.oci import registry as registries
from elt_env.image.oci.attachments import attach
from elt_env.image.oci.registry import Registry
from elt_env.image.push import push_image
from elt_env.image.record import ImageRecord
from elt_env.image.spec import Descriptor
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import short
from elt_env.tools import Tools
from tests.support.locks import CHANNEL, INDEX, MOMENT, lock_of, python_package
from tests.support.loopback import dead_url
from tests.support.project import make_project, toolbox_of
from tests.support.registry_server import docker_registry, needs_registry
from tests.support.said import Said
from tests.support.small_images import make_image, random_layer

pytestmark = needs_registry


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def lock() -> Lock:
    return lock_of(python_package())


@pytest.fixture
def toolbox(tmp_path: Path, lock: Lock) -> Tools:
    """The tools of a project that has a lock."""
    return _toolbox(tmp_path, lock)


def _toolbox(root: Path, lock: Lock, **environment: str) -> Tools:
    project = make_project(root, channels=[CHANNEL], index=INDEX, environment=environment)
    made = toolbox_of(project)
    made.store.write_lock(lock)
    made.store.set_current(lock.target, lock.digest, MOMENT)
    return made


def _pack(toolbox: Tools, lock: Lock) -> Descriptor:
    """Keep a small image with an SBOM as that of the lock."""
    images = ImageStore(toolbox.store)
    layer = random_layer(images.layout, 20_000, 1)
    manifest = make_image(images.layout, [layer], "elt-3.11")
    attach(images.layout, manifest, b"{}", name="elt-3.11.sbom")
    record = ImageRecord("elt-3.11", manifest, "a base", (), (layer,), (), MOMENT)
    images.record(record, lock.digest)
    return manifest


def _digest(host: str, repository: str, tag: str) -> str:
    answer = httpx.get(
        f"http://{host}/v2/{repository}/manifests/{tag}", headers={"Accept": oci.MANIFEST}
    )
    return oci.describe(answer.content, "").digest


def test_pushes_to_where_the_policy_says_under_two_tags(
    registry: str, lock: Lock, tmp_path: Path
) -> None:
    toolbox = _toolbox(tmp_path, lock, push=f"{registry}/team/policy")
    manifest = _pack(toolbox, lock)
    said = Said()

    pushed = push_image(lock.target, toolbox.project, toolbox.store, None, said)

    tags = ["3.11", short(lock.digest)]
    assert [each.tag for each in pushed.references] == tags
    assert {_digest(registry, "team/policy", tag) for tag in tags} == {manifest.digest}
    assert pushed.what.digest == manifest.digest
    assert said[-1].startswith(f"push: {registry}/team/policy has {manifest.digest} as 3.11, ")
    url = f"http://{registry}/v2/team/policy/manifests/{manifest.digest.replace(':', '-')}"
    assert len(httpx.get(url, headers={"Accept": oci.INDEX}).json()["manifests"]) == 1


def test_a_tag_in_the_reference_is_the_only_one(registry: str, lock: Lock, toolbox: Tools) -> None:
    manifest = _pack(toolbox, lock)

    pushed = push_image(
        lock.target, toolbox.project, toolbox.store, f"{registry}/team/tagged:mine", print
    )

    assert list(map(str, pushed.references)) == [f"{registry}/team/tagged:mine"]
    tags = httpx.get(f"http://{registry}/v2/team/tagged/tags/list").json()["tags"]
    assert set(tags) == {"mine", manifest.digest.replace(":", "-")}


def test_nowhere_to_push_to(lock: Lock, toolbox: Tools) -> None:
    with pytest.raises(InputError, match="not said where to push") as raised:
        push_image(lock.target, toolbox.project, toolbox.store, None, print)

    assert "elt-env push elt@3.11 registry.example/team/elt" in raised.value.remedy


@pytest.mark.parametrize("ref", ["elt", "r.example/elt@sha256:" + "0" * 64])
def test_a_reference_that_cannot_be_pushed_to(lock: Lock, toolbox: Tools, ref: str) -> None:
    with pytest.raises(InputError):
        push_image(lock.target, toolbox.project, toolbox.store, ref, print)


def test_no_image_yet(lock: Lock, toolbox: Tools) -> None:
    with pytest.raises(ToolError, match="has no image") as raised:
        push_image(lock.target, toolbox.project, toolbox.store, "localhost:1/elt", print)

    assert "elt-env image elt@3.11" in raised.value.remedy


def test_an_unreachable_registry_leaves_the_image_as_it_is(
    lock: Lock, toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registries, "Registry", partial(Registry, backoff=0.01))
    manifest = _pack(toolbox, lock)
    host = dead_url().split("/")[2]

    with pytest.raises(RegistryError) as raised:
        push_image(lock.target, toolbox.project, toolbox.store, f"{host}/elt", print)

    assert raised.value.retryable
    images = ImageStore(toolbox.store)
    assert images.layout.find("elt-3.11") is not None
    assert images.layout.intact(manifest)


def test_credentials_are_in_no_file_of_the_store(
    tmp_path: Path, lock: Lock, toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    with docker_registry(tmp_path / "closed", password=True) as host:
        _pack(toolbox, lock)
        auth = base64.b64encode(b"pusher:wr0ng-s3cret").decode()
        config = tmp_path / "docker" / "config.json"
        config.parent.mkdir()
        config.write_text(json.dumps({"auths": {host: {"auth": auth}}}))
        monkeypatch.setenv("DOCKER_CONFIG", str(config.parent))

        with pytest.raises(RegistryError, match="HTTP 401"):
            push_image(lock.target, toolbox.project, toolbox.store, f"{host}/elt", print)

    files = [each for each in toolbox.store.local_home.rglob("*") if each.is_file()]
    secrets = (b"wr0ng-s3cret", auth.encode())
    assert not [each for each in files for secret in secrets if secret in each.read_bytes()]
