"""Which sandbox is taken, and what is said where there is none."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from elt_env.image.oci.engines import Engine
from elt_env.image.sandbox import Bind, Task, find_sandbox
from elt_env.image.sandbox.find import EngineSandbox
from elt_env.image.sandbox.rooted import Bubblewrap, Namespaces
from elt_env.image.spec import ImageConfig
from tests.support.layouts import a_file, image_of


def silent(line: str, level: int = logging.INFO, /) -> None:
    del line, level


def test_the_first_that_works_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    layout, manifest = image_of(tmp_path / "oci", [a_file("a")])
    works = {kind: kind.fault() == "" for kind in (Namespaces, Bubblewrap)}
    for kind in (Namespaces, Bubblewrap):
        if not works[kind]:
            continue
        search = find_sandbox(layout, manifest, tmp_path / "roots", silent)
        assert isinstance(search.sandbox, kind)
        monkeypatch.setattr(kind, "fault", staticmethod(lambda: "forbidden by the test"))
    if not any(works.values()):
        pytest.skip("no sandbox works here")
    search = find_sandbox(layout, manifest, tmp_path / "roots", silent)
    assert "forbidden by the test" in search.reasons


def test_without_any_it_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout, manifest = image_of(tmp_path / "oci", [a_file("a")])
    monkeypatch.setattr(Namespaces, "fault", staticmethod(lambda: "unshare: not permitted"))
    monkeypatch.setenv("PATH", str(tmp_path))
    docker = tmp_path / "docker"
    docker.write_text("#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2\nexit 1\n")
    docker.chmod(0o755)

    search = find_sandbox(layout, manifest, tmp_path / "roots", silent)

    assert search.sandbox is None
    if os.geteuid() == 0:
        assert "namespaces: unshare: not permitted" in search.reasons
    assert "bubblewrap: bwrap is not installed" in search.reasons
    assert "docker is installed but does not work: Cannot connect to the Docker" in search.reasons
    assert "apt install bubblewrap" in search.reasons
    assert not (tmp_path / "roots").exists()


def test_an_engine_is_told_everything_but_no_secret(tmp_path: Path) -> None:
    config = ImageConfig("amd64", "", env=("HOME=/home/elt",))
    task = Task(
        command=("dbt", "build"),
        variables={"TOKEN": "s3cret-value"},
        directory="/work",
        binds=(Bind(tmp_path, "/work"), Bind(tmp_path, "/kept", writable=False)),
    )
    launch = EngineSandbox(Engine("podman"), "localhost/elt:1", config).launch(task)
    text = " ".join(launch.command)
    assert text.endswith("localhost/elt:1 dbt build")
    assert "--read-only" in text
    assert "--network none" in text
    assert "--workdir /work" in text
    assert f"--volume {tmp_path}:/work:rw" in text
    assert f"--volume {tmp_path}:/kept:ro" in text
    assert "--env TOKEN" in text
    assert "s3cret" not in text
    assert launch.env["TOKEN"] == "s3cret-value"  # noqa: S105  # made up
    assert (
        "none"
        not in EngineSandbox(Engine("docker"), "x", config).launch(Task(network=True)).command
    )
