"""Engines load images of a layout as they are, or say why not."""

from __future__ import annotations

import json
import logging
import os
import tarfile
from pathlib import Path

import pytest

from elt_env.errors import ToolError
from elt_env.image.oci.engines import Engine, find_engine
from elt_env.image.oci.layer import Compression
from elt_env.image.oci.layout import Layout
from tests.support.layouts import USERS, a_file, add_image, add_layer, image_of
from tests.support.said import Said

# A stand-in for a daemon that no test can have: it keeps what it is given to load.
_DOCKER = """#!/bin/sh
case "$1" in
info) echo 27.0;;
load) cp "$3" {place}/loaded.tar;;
image) echo '[{{"Id": "{digest}"}}]';;
esac
"""


def silent(line: str, level: int = logging.INFO, /) -> None:
    del line, level


@pytest.fixture
def buildah(tmp_path: Path) -> Engine:
    storage = ("--root", str(tmp_path / "storage"), "--runroot", str(tmp_path / "run"))
    engine = Engine("buildah", ("--storage-driver", "vfs", *storage), limit=60.0)
    if not engine.installed or os.geteuid() != 0:
        pytest.skip("needs buildah, and root")
    return engine


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_buildah_keeps_the_digest(
    buildah: Engine, tmp_path: Path, compression: Compression
) -> None:
    layout = Layout(tmp_path / ".A home" / "oci")
    layers = [add_layer(layout, USERS, compression), add_layer(layout, [a_file("b")], compression)]
    manifest = add_image(layout, layers, "elt-3.11", user="1000:1000")
    add_image(layout, layers, "another", user="elt")

    loaded = buildah.load(layout, manifest, "localhost/elt:3.11", silent)

    assert loaded.kept
    assert loaded.digest == manifest.digest
    assert buildah.digest("localhost/elt:3.11") == manifest.digest
    assert buildah.digest("localhost/never") == ""
    assert [each.name for each in layout.path.iterdir() if each.name.startswith(".load")] == []


def test_buildah_refuses_what_is_damaged(buildah: Engine, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "oci")
    layer = add_layer(layout, USERS)
    manifest = add_image(layout, [layer])
    layout.blob_path(layer.blob.digest).write_bytes(b"damaged")
    with pytest.raises(ToolError, match="buildah does not take the image localhost/elt:1"):
        buildah.load(layout, manifest, "localhost/elt:1", silent)


def put(place: Path, name: str, script: str) -> None:
    program = place / name
    program.write_text(script)
    program.chmod(0o755)


def test_an_engine_that_does_not_work_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ToolError, match=r"None of docker, podman, buildah is installed\."):
        find_engine()
    with pytest.raises(ToolError, match="podman is not installed"):
        Engine("podman").require()
    put(tmp_path, "docker", "#!/bin/sh\necho 'Is the docker daemon running?' >&2; exit 1\n")
    put(tmp_path, "podman", "#!/bin/sh\necho 'no subuid ranges' >&2; exit 125\n")
    with pytest.raises(ToolError) as caught:
        find_engine()
    assert "docker is installed but does not work: Is the docker daemon" in caught.value.problem
    assert "podman is installed but does not work: no subuid ranges" in caught.value.problem
    # Some versions print what failed and end with 0 all the same.
    put(tmp_path, "docker", "#!/bin/sh\necho 'ERROR: Cannot connect' >&2; echo\n")
    with pytest.raises(ToolError, match="ERROR: Cannot connect"):
        Engine("docker").require()


def test_docker_is_given_an_archive_of_this_image_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, manifest = image_of(tmp_path / "oci", USERS)
    add_image(layout, [add_layer(layout, [a_file("b")])], "another")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    put(tmp_path, "docker", _DOCKER.format(place=tmp_path, digest=manifest.digest))

    assert Engine("docker").load(layout, manifest, "elt:3.11", silent).kept

    with tarfile.open(tmp_path / "loaded.tar") as tar:
        names = tar.getnames()
        index = json.loads(tar.extractfile("index.json").read())  # type: ignore[union-attr]
        blob = tar.extractfile(f"blobs/sha256/{manifest.digest[7:]}")
        assert blob is not None
        assert blob.read() == layout.read(manifest)
        listed = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    assert len([each for each in names if each.startswith("blobs/")]) == 3
    assert listed[0]["RepoTags"] == ["docker.io/library/elt:3.11"]
    assert {listed[0]["Config"], *listed[0]["Layers"]} < set(names)
    assert "docker.io/library/elt:3.11" in index["manifests"][0]["annotations"].values()
    assert [each["digest"] for each in index["manifests"]] == [manifest.digest]


def test_an_engine_that_rewrites_the_image_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, manifest = image_of(tmp_path / "oci", USERS)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    put(tmp_path, "docker", _DOCKER.format(place=tmp_path, digest="sha256:other"))
    said = Said()
    loaded = Engine("docker").load(layout, manifest, "elt:3.11", said)
    assert not loaded.kept
    assert "its digest of elt:3.11 is sha256:other" in said[-1]
