"""A base from a real registry, and the layouts of a real tool."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.errors import NetworkError
from elt_env.image.bases import Base
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.registry import Registry
from elt_env.image.reference import Reference
from elt_env.machine.process import run
from tests.support.bases import X86_64, make_image
from tests.support.registry_server import docker_registry

pytestmark = pytest.mark.xdist_group("bases")  # they share a built prefix

Provide = Callable[..., Base]

_FILES = {"etc/passwd": b"root:x:0:0:root:/root:/bin/sh\n", "bin/sh": X86_64 + bytes(99)}


@pytest.mark.skipif(shutil.which("docker-registry") is None, reason="no registry is installed")
def test_an_image_of_a_registry(offer: Provide, layout: Layout, tmp_path: Path) -> None:
    theirs = Layout(tmp_path / "theirs")
    image = make_image(theirs, [_FILES, {"usr/x": b"x"}], env=["A=b"])
    registry = Registry(limit=60.0, backoff=0.01)
    with docker_registry(tmp_path / "registry") as host:
        repository = Reference(host, "team/base")
        registry.push(image, theirs, repository, ["12"], print)
        wanted = str(repository.at(image.digest))
        base = offer(wanted, pull=registry.pull)
    assert (base.kind, base.said, base.env) == ("registry", f"the image {wanted}", ("A=b",))
    assert all(layout.intact(each.blob) for each in base.layers)
    assert offer(wanted, pull=registry.pull) == base
    with pytest.raises(NetworkError):
        offer(wanted, pull=registry.pull, refresh=True)


@pytest.mark.skipif(shutil.which("skopeo") is None, reason="skopeo is not installed")
def test_a_layout_that_skopeo_made(offer: Provide, tmp_path: Path) -> None:
    theirs = Layout(tmp_path / "theirs")
    theirs.name("v1", make_image(theirs, [_FILES]))
    copied = tmp_path / "copied"
    done = run(
        ["skopeo", "--insecure-policy", "copy", f"oci:{theirs.path}:v1", f"oci:{copied}:v2"],
        limit=60.0,
    )
    assert done.returncode == 0, done.stderr
    assert offer(f"{copied}:v2").layers == offer(f"{theirs.path}:v1").layers
