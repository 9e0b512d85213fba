"""Images of a small environment: proven, and run on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import InputError, PolicyError, ToolError
from elt_env.image.oci.engines import Engine
from elt_env.image.oci.layout import Layout
from elt_env.image.pack import pack
from elt_env.image.run import parse_bind, run_image
from elt_env.image.sandbox.rooted import Bubblewrap, Namespaces
from elt_env.image.spec import Descriptor
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.proof.checks.image import IMAGE_CHECKS, ImageUnderTest
from elt_env.proof.checks.image_runs import image_runs
from elt_env.tools import Tools
from tests.support.isolation import clear_settings
from tests.support.layouts import USERS, add_image, add_layer, programs_of_host
from tests.support.sample import Sample, silent


@pytest.fixture(scope="module")
def packed(
    shared_sample: Sample, sample_lock: Lock, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Tools, ImageUnderTest]]:
    """A small environment and its image, on what it needs of this machine's own libraries."""
    with pytest.MonkeyPatch.context() as patch:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        toolbox = shared_sample.toolbox(tmp_path_factory.mktemp("packed"), image_base="host")
        ensure_prefix(sample_lock, toolbox, silent)
        made = pack(sample_lock, toolbox.project, toolbox.store, silent)
        prefix = Prefix(toolbox.store.prefix_path(sample_lock), sample_lock)
        yield toolbox, ImageUnderTest(prefix, made.image.manifest, Layout(made.path))


def needs_sandbox() -> None:
    if Bubblewrap.fault() and Namespaces.fault():
        pytest.skip("no sandbox works here")


@pytest.mark.parametrize("name", IMAGE_CHECKS)
def test_a_packed_image_holds(packed: tuple[Tools, ImageUnderTest], name: str) -> None:
    needs_sandbox()
    toolbox, image = packed
    found = IMAGE_CHECKS[name](image, toolbox, silent)
    assert found.status == "passed", found.detail
    if name == "image_runs":
        assert found.detail.endswith("python; not there: dbt, meltano, dagster")


def test_it_runs_in_bubblewrap_as_well(
    packed: tuple[Tools, ImageUnderTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    if fault := Bubblewrap.fault():
        pytest.skip(fault)
    monkeypatch.setattr(Namespaces, "fault", staticmethod(lambda: "forbidden by the test"))
    toolbox, image = packed
    found = image_runs(image, toolbox, silent)
    assert found.status == "passed", found.detail
    assert "with bubblewrap: python" in found.detail


def test_without_a_sandbox_it_is_not_run(
    packed: tuple[Tools, ImageUnderTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (Namespaces, Bubblewrap):
        monkeypatch.setattr(kind, "fault", staticmethod(lambda: "forbidden by the test"))
    monkeypatch.setattr(Engine, "installed", False)
    toolbox, image = packed
    found = image_runs(image, toolbox, silent)
    assert found.status == "not_run"
    assert "bubblewrap: forbidden by the test" in found.detail
    assert "apt install bubblewrap" in found.detail


def hand_made(layout: Layout, *programs: str) -> Descriptor:
    layers = [add_layer(layout, USERS), add_layer(layout, programs_of_host(*programs))]
    return add_image(layout, layers, "made", env=("PATH=/bin",), user="1000:1000")


def test_an_image_without_its_tool_fails(
    packed: tuple[Tools, ImageUnderTest], tmp_path: Path
) -> None:
    needs_sandbox()
    toolbox, image = packed
    layout = Layout(tmp_path / "oci")
    broken = replace(image, layout=layout, manifest=hand_made(layout, "sh"))
    found = image_runs(broken, toolbox, silent)
    assert found.status == "failed"
    assert "In the image, python -c" in found.detail
    assert "No such file" in found.detail


def test_a_command_runs_in_it_on_this_terminal(
    packed: tuple[Tools, ImageUnderTest],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs_sandbox()
    toolbox, image = packed
    (tmp_path / "given").write_text("from outside")
    tmp_path.chmod(0o755)  # the image's user is another one
    monkeypatch.setenv("FROM_HERE", "kept")
    script = (
        "import os, sys, pathlib; print(pathlib.Path('/shared/given').read_text(), os.getcwd(), "
        "sys.prefix, os.environ['FROM_HERE'], os.environ['SIZE'], os.getuid()); sys.exit(5)"
    )
    lock = image.prefix.lock
    code = run_image(
        lock,
        ["python", "-c", script],
        toolbox.store,
        silent,
        binds=[f"{tmp_path}:/shared:ro"],
        variables=["FROM_HERE", "SIZE=large", "NEVER_SET_HERE"],
        offline=True,
    )
    assert code == 5
    out = capfd.readouterr().out
    assert out == "from outside /opt/elt-project /opt/elt kept large 1000\n"


def test_without_an_image_it_says_how_to_get_one(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    with pytest.raises(ToolError, match="There is no image of elt@") as caught:
        run_image(sample_lock, ["true"], sample.toolbox(tmp_path).store, silent)
    assert caught.value.remedy == f"Pack it: elt-env image elt@{sample.python}"


def test_without_a_sandbox_the_reasons_are_told(
    packed: tuple[Tools, ImageUnderTest], monkeypatch: pytest.MonkeyPatch
) -> None:
    for kind in (Namespaces, Bubblewrap):
        monkeypatch.setattr(kind, "fault", staticmethod(lambda: "forbidden by the test"))
    monkeypatch.setattr(Engine, "installed", False)
    toolbox, image = packed
    with pytest.raises(ToolError, match="No sandbox works here") as caught:
        run_image(image.prefix.lock, ["true"], toolbox.store, silent)
    assert "apt install bubblewrap" in caught.value.problem
    assert not (ImageStore(toolbox.store).roots / "never").exists()


@pytest.mark.parametrize("text", ["", "/a", ":/b", "a:relative", "/:/b:rx", ".:/"])
def test_a_malformed_bind_is_an_error(text: str) -> None:
    with pytest.raises(PolicyError, match=r"what to bind where|hide the whole image"):
        parse_bind(text)


def test_binds_are_read_as_docker_has_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    bind = parse_bind(".:/shared/")
    assert (bind.host, bind.inside, bind.writable) == (tmp_path, "/shared", True)
    assert not parse_bind(f"{sys.executable}:/bin/x:ro").writable
    with pytest.raises(InputError, match="is not there to be bound"):
        parse_bind("never:/shared")
