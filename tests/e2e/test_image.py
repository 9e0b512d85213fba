"""The image of the real environment: proven, the same elsewhere, and cheap to bring up to date."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from elt_env.environment.build import ensure_prefix, require_lock
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.registry import Registry
from elt_env.image.pack import PackedImage, pack
from elt_env.image.push import push
from elt_env.image.reference import parse_reference
from elt_env.lock.make import lock as make_lock
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.project.settings import open_project
from elt_env.proof.prove import IMAGE_CHECKS
from elt_env.tools import Tools
from tests.support.commands import Site
from tests.support.project import toolbox_of
from tests.support.registry_server import docker_registry
from tests.support.sample import silent

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

TARGET = "elt@3.11"
_LIMIT = 300


@dataclass(frozen=True)
class Elsewhere:
    """A project in another directory with a store of its own, and its image."""

    toolbox: Tools
    lock: Lock
    packed: PackedImage


@pytest.fixture(scope="module")
def packed_elsewhere(elsewhere: Site) -> Elsewhere:
    toolbox = toolbox_of(open_project(elsewhere.directory))
    lock = require_lock(target_here("elt", "3.11"), toolbox.store)
    ensure_prefix(lock, toolbox, silent)
    return Elsewhere(toolbox, lock, pack(lock, toolbox.project, toolbox.store, silent))


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


def test_the_job_ends_with_a_proven_image(content: Mapping[str, Any]) -> None:
    image = content["image"]
    assert re.fullmatch(r"sha256:[0-9a-f]{64}", image["digest"])
    assert image["bytes"] == sum(each["bytes"] for each in image["layers"])
    status = {each["check"]: each["status"] for each in content["evidence"]}
    assert {name: status[name] for name in IMAGE_CHECKS} == dict.fromkeys(IMAGE_CHECKS, "passed")


@pytest.mark.usefixtures("first_run")
def test_its_tools_run_in_it(site: Site) -> None:
    script = "import os, sys, duckdb; print(sys.prefix, os.getuid(), duckdb.sql('select 42'))"
    done = site.elt_env("run-image", "--offline", TARGET, "--", "python", "-c", script)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("/opt/elt 1000 ")
    assert "42" in done.stdout
    failed = site.elt_env("run-image", TARGET, "--", "sh", "-c", "exit 7")
    assert failed.returncode == 7


def test_the_same_lock_gives_the_same_image_elsewhere(
    content: Mapping[str, Any], packed_elsewhere: Elsewhere
) -> None:
    assert packed_elsewhere.packed.image.digest == content["image"]["digest"]


def test_skopeo_takes_it_to_a_registry_and_back(
    content: Mapping[str, Any], registry: str, tmp_path: Path
) -> None:
    image = content["image"]
    away, back = f"docker://{registry}/skopeo:one", f"oci:{tmp_path / 'back'}:one"
    options = ["--insecure-policy", "copy", "--preserve-digests", "-q"]
    tls = ["--dest-tls-verify=false", "--src-tls-verify=false"]
    for source, target in ((f"oci:{image['path']}:{image['name']}", away), (away, back)):
        subprocess.run(
            ["skopeo", *options, *tls, source, target], check=True, timeout=_LIMIT, env=_path()
        )
    found = Layout(tmp_path / "back").find("one")
    assert found is not None
    assert found.digest == image["digest"]


def _path() -> dict[str, str]:
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/nonexistent"}


def test_a_patch_release_of_dagster_sends_a_tenth_at_most(
    packed_elsewhere: Elsewhere, registry: str
) -> None:
    toolbox = packed_elsewhere.toolbox
    target = target_here("elt", "3.11")
    spec = toolbox.project.root / "environments/elt.yml"
    version = packed_elsewhere.lock.package("pip", "dagster").version
    older = f"{version.rpartition('.')[0]}.{int(version.rpartition('.')[2]) - 1}"
    asked = re.sub(r"(?m)^(\s*- )dagster\b(?!-).*$", rf"\g<1>dagster=={older}", spec.read_text())
    spec.write_text(asked)
    reopened = toolbox_of(open_project(toolbox.project.root))
    other = make_lock(target, reopened, silent).lock
    assert other.package("pip", "dagster").version == older
    ensure_prefix(other, reopened, silent)
    old = pack(other, reopened.project, reopened.store, silent)

    reference = parse_reference(f"{registry}/team/elt")
    layout = Layout(old.path)
    first = push(old.image.manifest, layout, reference, ["3.11"], Registry(), silent)
    new = packed_elsewhere.packed.image
    second = push(new.manifest, layout, reference, ["3.11"], Registry(), silent)

    assert first.bytes_sent > 200_000_000
    assert 0 < second.bytes_sent <= new.size / 10
    assert second.digest == new.digest
    shutil.rmtree(reopened.store.prefix_path(other))
