"""Artifacts beside an image, in a layout on disk."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elt_env.errors import StorageError
from elt_env.image import spec as oci
from elt_env.image.oci.attachments import attach
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor, Manifest

_NAME = "elt-3.11.sbom"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


@pytest.fixture
def image(layout: Layout) -> Descriptor:
    """The manifest of an image without layers, as the layout's index tells it."""
    config = layout.add(b'{"architecture":"amd64","os":"linux"}', oci.CONFIG)
    layout.name("elt-3.11", layout.add(Manifest(config, ()).to_bytes(), oci.MANIFEST))
    found = layout.find("elt-3.11")
    assert found is not None
    return found


def test_it_is_an_artifact_that_refers_to_the_image(layout: Layout, image: Descriptor) -> None:
    attached = attach(layout, image, b'{"bomFormat":"CycloneDX"}', name=_NAME)
    manifest = oci.parse_manifest(layout.read(attached))
    assert manifest.artifact_type == "application/vnd.cyclonedx+json"
    assert manifest.config.media_type == "application/vnd.oci.empty.v1+json"
    assert layout.read(manifest.config) == b"{}"
    assert [layout.read(each) for each in manifest.layers] == [b'{"bomFormat":"CycloneDX"}']
    assert manifest.layers[0].media_type == "application/vnd.cyclonedx+json"
    # A subject is told by what it is, not by how an index calls it.
    assert image.annotations
    subject = json.loads(layout.read(attached))["subject"]
    assert subject == {"mediaType": oci.MANIFEST, "digest": image.digest, "size": image.size}


def test_it_is_found_by_its_name_and_the_image_by_its_own(
    layout: Layout, image: Descriptor
) -> None:
    attached = attach(layout, image, b"{}", name=_NAME)
    found = layout.find(_NAME)
    assert found is not None
    assert (found.digest, found.size) == (attached.digest, attached.size)
    assert found.artifact_type == attached.artifact_type == "application/vnd.cyclonedx+json"
    assert layout.find("elt-3.11") == image


def test_the_same_content_for_the_same_image_is_the_same_artifact(
    layout: Layout, image: Descriptor
) -> None:
    first = attach(layout, image, b"one", name=_NAME)
    assert attach(layout, image, b"one", name=_NAME) == first
    second = attach(layout, image, b"two", name=_NAME)
    assert second.digest != first.digest
    assert [each.digest for each in layout.images()] == [image.digest, second.digest]


def test_without_a_place_nothing_is_named(layout: Layout, image: Descriptor) -> None:
    blobs = layout.path / "blobs"
    blobs.rename(layout.path / "moved")
    blobs.write_text("in the way")
    with pytest.raises(StorageError):
        attach(layout, image, b"x", name=_NAME)
    assert layout.find(_NAME) is None
