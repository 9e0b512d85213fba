"""The check that an image is what the specification says one is, with planted faults."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor, Layer
from elt_env.machine.process import unheard
from elt_env.proof.checks.finding import Finding
from elt_env.proof.checks.image import ImageUnderTest
from elt_env.proof.checks.image_content import image_content
from elt_env.proof.checks.image_format import image_format
from tests.support.layouts import USERS, a_file, add_image, add_layer
from tests.support.locks import lock_of
from tests.support.project import make_project, toolbox_of


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "a: home" / "oci")


@pytest.fixture
def layers(layout: Layout) -> list[Layer]:
    return [add_layer(layout, USERS), add_layer(layout, [a_file("b", b"2" * 9999)], "gzip")]


Look = Callable[[Descriptor], Finding]


@pytest.fixture
def look(layout: Layout, tmp_path: Path) -> Look:
    project = make_project(
        tmp_path / "p", channels=["https://c.invalid"], index="https://i.invalid"
    )

    def check(manifest: Descriptor) -> Finding:
        subject = ImageUnderTest(Prefix(tmp_path, lock_of()), manifest, layout)
        return image_format(subject, toolbox_of(project), unheard)

    return check


def changed(
    layout: Layout, manifest: Descriptor, what: str, change: Callable[[Any], object]
) -> Descriptor:
    """Return the image with its manifest's or its config's JSON changed."""
    content = json.loads(layout.read(manifest))
    if what == "config":
        blob = oci.parse_manifest(layout.read(manifest)).config
        config = json.loads(layout.read(blob))
        change(config)
        content["config"] = layout.add(oci.encode(config), oci.CONFIG).to_json()
    else:
        change(content)
    made = layout.add(oci.encode(content), oci.MANIFEST)
    layout.name("test", made)
    return made


def test_a_whole_image_passes_and_skopeo_agrees(
    look: Look, layout: Layout, layers: list[Layer], tmp_path: Path
) -> None:
    found = look(add_image(layout, layers))
    assert found.status == "passed", found.detail
    assert "2 layers" in found.detail
    asked = "skopeo copies it as it is" if shutil.which("skopeo") else "skopeo is not installed"
    assert asked in found.detail
    assert list((tmp_path / "p/.elt_env/work").glob("*/*")) == []


def test_without_skopeo_that_is_said(
    look: Look, layout: Layout, layers: list[Layer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = look(add_image(layout, layers))
    assert found.status == "passed"
    assert "skopeo is not installed, so it was not asked" in found.detail


def test_what_skopeo_refuses_is_a_fault(
    look: Look, layout: Layout, layers: list[Layer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "skopeo"
    program.write_text("#!/bin/sh\necho 'unsupported'; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    found = look(add_image(layout, layers))
    assert found.status == "failed"
    assert found.detail == "skopeo does not take the image: unsupported"


def test_a_corrupted_blob_is_named(look: Look, layout: Layout, layers: list[Layer]) -> None:
    manifest = add_image(layout, layers)
    path = layout.blob_path(layers[1].blob.digest)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    found = look(manifest)
    assert found.status == "failed"
    assert found.detail == (
        f"the layer {layers[1].blob.digest} (test) has another digest: it was changed"
    )
    path.unlink()
    assert "is not there" in look(manifest).detail


def test_what_was_read_in_this_run_is_named_where_it_was_damaged_since(
    layout: Layout, layers: list[Layer], tmp_path: Path
) -> None:
    project = make_project(
        tmp_path / "p", channels=["https://c.invalid"], index="https://i.invalid"
    )
    manifest = add_image(layout, layers)
    subject = ImageUnderTest(Prefix(tmp_path, lock_of()), manifest, layout)
    image_content(subject, toolbox_of(project), unheard)
    assert len(subject.read) == len(layers)
    path = layout.blob_path(layers[0].blob.digest)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[::-1])
    found = image_format(subject, toolbox_of(project), unheard)
    assert found.status == "failed"
    assert "has another digest: it was changed" in found.detail


def test_a_manifest_that_is_gone_is_named(look: Look, layout: Layout, layers: list[Layer]) -> None:
    manifest = add_image(layout, layers)
    layout.blob_path(manifest.digest).unlink()
    found = look(manifest)
    assert found.status == "failed"
    assert manifest.digest[7:] in found.detail


def test_a_wrong_diff_id_is_named(look: Look, layout: Layout, layers: list[Layer]) -> None:
    wrong = [replace(layers[0], diff_id=layers[1].diff_id), layers[1]]
    found = look(add_image(layout, wrong))
    assert found.status == "failed"
    assert f"unpacks to {layers[0].diff_id}; its config says {layers[1].diff_id}" in found.detail


_DOCKER = "application/vnd.docker.container.image.v1+json"


@pytest.mark.parametrize(
    ("what", "change", "fault"),
    [
        ("config", lambda c: c.update(architecture="arm64"), "the config says arm64; linux-64 is"),
        ("config", lambda c: c.update(os="plan9"), "the system is plan9, not linux"),
        ("config", lambda c: c["rootfs"].update(type="x"), "rootfs is not of type layers"),
        ("config", lambda c: c["history"].pop(), "the history tells of 1 layers, there are 2"),
        ("config", lambda c: c["rootfs"]["diff_ids"].pop(), "has 2 layers, but its config lists 1"),
        ("manifest", lambda c: c.update(schemaVersion=1), "has schemaVersion 1, not 2"),
        (
            "manifest",
            lambda c: c.update(mediaType="x"),
            "the manifest says that the manifest is a x",
        ),
        ("manifest", lambda c: c["config"].update(mediaType=_DOCKER), f"the config is a {_DOCKER}"),
        ("manifest", lambda c: c["layers"][0].update(mediaType="x"), "is a x, which is no layer"),
        ("manifest", lambda c: c["layers"][0].update(size=1), "is not there, or not of 1 bytes"),
        ("manifest", lambda c: c.pop("config"), "not an image manifest"),
    ],
)
def test_what_does_not_fit_is_named(  # noqa: PLR0917  # fixtures and the case
    look: Look,
    layout: Layout,
    layers: list[Layer],
    what: str,
    change: Callable[[Any], object],
    fault: str,
) -> None:
    found = look(changed(layout, add_image(layout, layers), what, change))
    assert found.status == "failed"
    assert fault in found.detail


def test_the_layout_itself_is_looked_at(look: Look, layout: Layout, layers: list[Layer]) -> None:
    manifest = add_image(layout, layers)
    (layout.path / "oci-layout").write_text('{"imageLayoutVersion": "0.9"}')
    layout.forget("test")
    (layout.path / "oci-layout").write_text('{"imageLayoutVersion": "0.9"}')
    found = look(manifest)
    assert "says version 0.9, not 1.0.0" in found.detail
    assert f"the index names no manifest {manifest.digest}" in found.detail
    (layout.path / "oci-layout").unlink()
    assert "does not say that this is a layout" in look(manifest).detail
