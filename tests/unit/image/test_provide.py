"""Bases that a person names: layouts, archives, references, and what is none of these."""

from __future__ import annotations

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError, PolicyError, ToolError
from elt_env.image import spec as oci
from elt_env.image.bases import Base, provide
from elt_env.image.bases.users import PASSWD, accounts
from elt_env.image.oci.layout import Layout
from elt_env.image.reference import Reference
from elt_env.image.spec import Descriptor
from tests.support.bases import ARM, X86_64, damage, make_image, tar_of
from tests.support.locks import lock_of, python_package

_FILES = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "bin/sh": X86_64 + bytes(9999)}
_ELT = "elt:x:1000:1000::/home/elt:/bin/sh\n"
_REFERENCE = "registry.example.invalid/team/base@sha256:" + "0" * 64


class Desk:
    """Asks for bases of one store."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root / "store/oci")
        self._root = root
        self._prefix = Prefix(root / "prefix", lock_of(python_package()))

    def provide(self, wanted: object, **more: Any) -> Base:
        cache = self._root / "store/bases"
        own: dict[str, Any] = {"compression": "zstd", "limit": 9.0, "say": print}
        return provide(str(wanted), self._prefix, self.layout, cache, **(own | more))

    def digests(self) -> set[str]:
        return {each.name for each in (self.layout.path / "blobs/sha256").glob("[!.]*")}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def theirs(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "theirs")


def _name(layout: Layout, name: str, image: Descriptor) -> None:
    layout.name(name, image)


def test_an_image_of_a_layout_keeps_its_bytes(desk: Desk, theirs: Layout) -> None:
    image = make_image(theirs, [_FILES, {"usr/x": b"x"}], env=["A=b"])
    _name(theirs, "v1", image)
    base = desk.provide(theirs.path)
    manifest = oci.parse_manifest(theirs.read(image))
    assert [each.blob.digest for each in base.layers[:2]] == [
        each.digest for each in manifest.layers
    ]
    assert (base.kind, base.env, base.packages, len(base.layers)) == ("layout", ("A=b",), (), 3)
    assert all(desk.layout.intact(each.blob) for each in base.layers)
    assert accounts(desk.layout, base.layers)[0] == _FILES["etc/passwd"].decode() + _ELT
    assert image.digest[:19] in base.said
    assert str(theirs.path.parent) not in base.said


def test_one_of_several_images_is_named(desk: Desk, theirs: Layout) -> None:
    _name(theirs, "v1", make_image(theirs, [{"a": b"1"}]))
    _name(theirs, "v2", make_image(theirs, [{"a": b"2"}]))
    first, second = (desk.provide(f"{theirs.path}:{each}") for each in ("v1", "v2"))
    assert first.layers[0] != second.layers[0]
    for wanted in (str(theirs.path), f"{theirs.path}:v3"):
        with pytest.raises(PolicyError, match=r"v1, v2"):
            desk.provide(wanted)


def test_an_index_is_followed_to_our_platform(desk: Desk, theirs: Layout) -> None:
    arm = make_image(theirs, [{"a": b"arm"}], architecture="arm64")
    mine = make_image(theirs, [{"a": b"amd"}])
    index = oci.index_bytes(
        tuple(
            Descriptor(each.media_type, each.digest, each.size, platform=("linux", name))
            for each, name in ((arm, "arm64"), (mine, "amd64"))
        )
    )
    _name(theirs, "multi", theirs.add(index, oci.INDEX))
    base = desk.provide(theirs.path)
    assert base.layers[0].blob.digest == oci.parse_manifest(theirs.read(mine)).layers[0].digest
    only = oci.index_bytes(
        (Descriptor(arm.media_type, arm.digest, arm.size, platform=("linux", "arm64")),)
    )
    _name(theirs, "multi", theirs.add(only, oci.INDEX))
    with pytest.raises(PolicyError, match="no image for linux/amd64, only for linux/arm64"):
        desk.provide(theirs.path)


def test_an_image_for_another_platform(desk: Desk, theirs: Layout) -> None:
    _name(theirs, "x", make_image(theirs, [{"a": b""}], architecture="arm64"))
    with pytest.raises(PolicyError, match="is for arm64; the environment is for amd64"):
        desk.provide(theirs.path)


def test_an_artifact_is_no_base(desk: Desk, theirs: Layout) -> None:
    config = theirs.add(b"{}", oci.EMPTY)
    _name(theirs, "x", theirs.add(oci.Manifest(config, ()).to_bytes(), oci.MANIFEST))
    with pytest.raises(PolicyError, match="is not an image"):
        desk.provide(theirs.path)


@pytest.mark.parametrize("part", ["manifest", "config", "layer", "index"])
def test_a_damaged_layout(desk: Desk, theirs: Layout, part: str) -> None:
    image = make_image(theirs, [_FILES])
    _name(theirs, "x", image)
    manifest = oci.parse_manifest(theirs.read(image))
    digests = {
        "manifest": image.digest,
        "config": manifest.config.digest,
        "layer": manifest.layers[0].digest,
    }
    place = theirs.blob_path(digests[part]) if part in digests else theirs.path / "index.json"
    if part == "index":
        place.write_text("[", encoding="utf-8")
    else:
        damage(place)
    with pytest.raises(IntegrityError):
        desk.provide(theirs.path)


def test_a_changed_image_under_the_same_name_is_another_base(desk: Desk, theirs: Layout) -> None:
    _name(theirs, "x", make_image(theirs, [{"a": b"1"}]))
    first = desk.provide(theirs.path)
    _name(theirs, "x", make_image(theirs, [{"a": b"2"}]))
    assert desk.provide(theirs.path) != first


_COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "tar": bytes,
    "tar.gz": gzip.compress,
    "tar.xz": lzma.compress,
    "tar.bz2": bz2.compress,
    "tar.zst": lambda data: zstandard.ZstdCompressor().compress(data),
}


@pytest.mark.parametrize("ending", _COMPRESSED)
def test_an_archive_becomes_a_layer_with_the_same_tar(
    desk: Desk, tmp_path: Path, ending: str
) -> None:
    tar = tar_of(_FILES)
    path = tmp_path / f"root.{ending}"
    path.write_bytes(_COMPRESSED[ending](tar))
    base = desk.provide(path)
    assert (base.kind, len(base.layers)) == ("archive", 2)
    assert base.layers[0].diff_id == oci.describe(tar, oci.LAYER).digest
    assert base.layers[0].blob.media_type == oci.LAYER_ZSTD
    assert accounts(desk.layout, base.layers)[0].endswith(_ELT)


def test_an_archive_is_read_once_while_it_stays(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_bytes(tar_of(_FILES))
    first = desk.provide(path)
    blob = desk.layout.blob_path(first.layers[0].blob.digest)
    written = blob.stat()
    assert desk.provide(path) == first
    assert blob.stat() == written
    path.write_bytes(tar_of({PASSWD: b""}))
    assert desk.provide(path).layers[0] != first.layers[0]


@pytest.mark.parametrize("ending", _COMPRESSED)
def test_a_damaged_archive(desk: Desk, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"root.{ending}"
    data = _COMPRESSED[ending](tar_of({**_FILES, "x": bytes(range(256)) * 99}))
    path.write_bytes(data[: len(data) // 2])
    with pytest.raises(PolicyError, match="not a tar archive that can be read"):
        desk.provide(path)


def test_a_file_that_is_no_archive(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_text("hello\n" * 999, encoding="utf-8")
    with pytest.raises(PolicyError, match="not a tar archive"):
        desk.provide(path)


def test_an_archive_for_another_platform(desk: Desk, tmp_path: Path) -> None:
    path = tmp_path / "root.tar"
    path.write_bytes(tar_of({"bin/sh": ARM}))
    with pytest.raises(PolicyError, match="programs for arm64; the environment is for amd64"):
        desk.provide(path)


def test_an_image_of_a_registry_is_pulled_once(desk: Desk) -> None:
    asked = []

    def pull(
        reference: Reference, layout: Layout, say: object, *, platform: tuple[str, str]
    ) -> Descriptor:
        del say
        asked.append((str(reference), platform))
        return make_image(layout, [_FILES])

    base = desk.provide(_REFERENCE, pull=pull)
    assert (base.kind, base.said, len(base.layers)) == ("registry", f"the image {_REFERENCE}", 2)
    assert desk.provide(_REFERENCE, pull=pull) == base
    assert asked == [(_REFERENCE, ("linux", "amd64"))]
    damage(desk.layout.blob_path(base.layers[0].blob.digest))
    assert desk.provide(_REFERENCE, pull=pull) == base
    assert len(asked) == 2


@pytest.mark.parametrize(
    "wanted",
    [
        "registry.example.invalid/team/base:12",
        "localhost:5000/base",
        "localhost/base",
    ],
)
def test_a_reference_has_to_be_pinned(desk: Desk, wanted: str) -> None:
    with pytest.raises(PolicyError, match="not pinned") as raised:
        desk.provide(wanted)
    assert "@sha256:" in raised.value.remedy


@pytest.mark.parametrize(
    "wanted", ["registry.example.invalid/x@sha256:12", "x@" + _REFERENCE[-71:]]
)
def test_a_malformed_reference(desk: Desk, wanted: str) -> None:
    with pytest.raises(PolicyError, match="not the reference of an image"):
        desk.provide(wanted)


def test_without_a_way_to_pull(desk: Desk) -> None:
    with pytest.raises(ToolError, match="nothing here to pull"):
        desk.provide(_REFERENCE)


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ("alpine", "not a word that is known"),
        ("./roots/debian.tar", "is not there"),
        ("debian.tar.gz", "is not there"),
        ("roots/debian.tar", "is not there"),
        ("/nowhere/layout", "is not there"),
    ],
)
def test_what_makes_no_sense(desk: Desk, wanted: str, fault: str) -> None:
    with pytest.raises(PolicyError, match=fault) as raised:
        desk.provide(wanted)
    assert "image-base" in raised.value.remedy
    assert desk.digests() == set()


def test_a_directory_that_is_no_layout(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="not an OCI layout"):
        desk.provide(tmp_path)
