"""Images of environments without conda: the interpreter goes along, or is the base's."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.errors import InputError
from elt_env.image.bases import debian
from elt_env.image.oci.layout import Layout
from elt_env.image.pack import PackedImage, pack
from elt_env.image.run import run_image
from elt_env.image.sandbox.rooted import Bubblewrap, Namespaces
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.pipeline import Pipeline
from elt_env.python.interpreters import find_interpreter
from elt_env.store.evidence import Evidence
from elt_env.tools import Tools
from tests.support.images import blobs, content_of, entries, make_root_tar
from tests.support.index_server import IndexServer
from tests.support.locking import PYTHON
from tests.support.sample import silent
from tests.support.venvs import locked, offer_tool, open_venv

_SYSTEM = Path(f"/usr/bin/python{PYTHON}")
needs_system_python = pytest.mark.skipif(
    not _SYSTEM.exists(), reason=f"this machine has no Python {PYTHON} of its own"
)


@pytest.fixture
def offered(index: IndexServer, tmp_path: Path) -> IndexServer:
    """An index with `tool` and what it needs."""
    return offer_tool(index, tmp_path / "wheels")


@pytest.fixture
def base(tmp_path: Path) -> str:
    return str(make_root_tar(tmp_path / "root.tar"))


def packed(toolbox: Tools, lock: Lock) -> PackedImage:
    ensure_prefix(lock, toolbox, silent)
    return pack(lock, toolbox.project, toolbox.store, silent)


def proven(toolbox: Tools) -> dict[str, Evidence]:
    """Pack the image of a project's environment; return what its checks say."""
    if Bubblewrap.fault() and Namespaces.fault():
        pytest.skip("no sandbox works here")
    lock = locked(toolbox)
    _, results = Pipeline(target=lock.target, tools=toolbox, say=silent).pack(lock)
    return {each.check: each for each in results}


def test_it_has_its_interpreter_and_is_the_same_wherever_it_is_packed(
    offered: IndexServer, tmp_path: Path, base: str
) -> None:
    near = open_venv(tmp_path / "one", offered, policy={"image-base": base})
    far = open_venv(tmp_path / ("long " * 20) / "two", offered, policy={"image-base": base})
    found = locked(near)
    one, two = packed(near, found), packed(far, locked(far))

    assert two.image.digest == one.image.digest
    assert two.sbom == one.sbom
    assert one.image.layers[1].holds == "python: the interpreter, and a venv of it"
    files = content_of(Layout(one.path), one.image)
    real = find_interpreter(PYTHON)
    traces = [str(each).encode() for each in (tmp_path, real.prefix)]
    assert [name for name, data in files.items() if any(each in data for each in traces)] == []
    assert files["opt/elt/pyvenv.cfg"].decode() == (
        "home = /opt/elt/python/bin\n"
        "include-system-site-packages = false\n"
        f"version = {real.version}\n"
        f"executable = /opt/elt/python/bin/python{PYTHON}\n"
    )
    assert f"opt/elt/python/lib/python{PYTHON}/os.py" in files
    assert b"elt-env build" in files[f"opt/elt/lib/python{PYTHON}/EXTERNALLY-MANAGED"]
    links = entries(Layout(one.path), one.image.layers[1])
    assert links["opt/elt/bin/python"][0].linkname == f"/opt/elt/python/bin/python{PYTHON}"
    sbom = json.loads(ImageStore(near.store).sbom_path(found.digest).read_text())
    assert f"pkg:generic/python@{real.version}" in {each["purl"] for each in sbom["components"]}


def test_what_was_recorded_is_what_is_in_it_and_a_second_packing_writes_nothing(
    offered: IndexServer, tmp_path: Path, base: str
) -> None:
    toolbox = open_venv(tmp_path, offered, policy={"image-base": base})
    found = locked(toolbox)
    first = packed(toolbox, found)
    before = {each: each.stat().st_ino for each in blobs(Layout(first.path))}
    files = content_of(Layout(first.path), first.image)
    assert files["opt/elt/bin/tool"].startswith(b"#!/opt/elt/bin/python")
    site = f"opt/elt/lib/python{PYTHON}/site-packages"
    rows = csv.reader(files[f"{site}/tool-1.0.dist-info/RECORD"].decode().splitlines())
    assert "../../../bin/tool" in {row[0] for row in rows}

    second = packed(toolbox, found)

    assert second.kept
    assert {each: each.stat().st_ino for each in blobs(Layout(second.path))} == before


def test_another_interpreter_is_another_image(
    offered: IndexServer, tmp_path: Path, base: str
) -> None:
    real = find_interpreter(PYTHON)
    own = tmp_path / "base" / "bin" / f"python{PYTHON}"
    own.parent.mkdir(parents=True)
    shutil.copy2(real.executable, own)
    (tmp_path / "base" / "lib").symlink_to(real.prefix / "lib")
    toolbox = open_venv(tmp_path, offered, interpreters=[str(own)], policy={"image-base": base})
    found = locked(toolbox)
    one = packed(toolbox, found)
    with own.open("ab") as file:
        file.write(b"a patch release")
    two = packed(toolbox, found)
    had = {each.blob.digest for each in one.image.layers}
    assert "python: the interpreter, and a venv of it" in {
        each.holds for each in two.image.layers if each.blob.digest not in had
    }


def test_its_checks_hold_on_what_it_needs_of_this_machine(
    offered: IndexServer, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    toolbox = open_venv(tmp_path, offered, policy={"image-base": "host"})
    evidence = proven(toolbox)
    assert {name: each.status for name, each in evidence.items()} == dict.fromkeys(
        ("image_format", "image_content", "image_runs"), "passed"
    ), evidence
    capfd.readouterr()
    assert run_image(locked(toolbox), ["tool"], toolbox.store, silent, offline=True) == 0
    assert capfd.readouterr().out == "/opt/elt\n"


@needs_system_python
@pytest.mark.parametrize(
    ("image_base", "why"),
    [("host", 'only image-base = "debian" has it'), ("debian", "no-such-program, which brings it")],
)
def test_where_no_base_has_the_systems_python_none_is_made_and_nothing_is_begun(
    image_base: str,
    why: str,
    offered: IndexServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(debian, "PROGRAM", "no-such-program")
    policy = {"image-base": image_base}
    toolbox = open_venv(tmp_path, offered, interpreters=[str(_SYSTEM)], policy=policy)
    found = locked(toolbox)
    with pytest.raises(InputError, match=why) as caught:
        Pipeline(target=found.target, tools=toolbox, say=silent).pack(found)
    assert f"it is a venv of {_SYSTEM}" in caught.value.problem
    assert "--format dockerfile" in caught.value.remedy
    assert not toolbox.store.prefix_path(found).exists()


@needs_system_python
@pytest.mark.skipif(not debian.is_installed(), reason="mmdebstrap is not installed")
@pytest.mark.registry
@pytest.mark.slow
@pytest.mark.xdist_group("bases")
def test_the_systems_python_is_the_bases_and_the_checks_hold(
    offered: IndexServer, tmp_path: Path
) -> None:
    policy = {"image-base": "auto"}
    toolbox = open_venv(tmp_path, offered, interpreters=[str(_SYSTEM)], policy=policy)
    evidence = proven(toolbox)
    assert {each.status for each in evidence.values()} == {"passed"}, evidence
    image = ImageStore(toolbox.store).image(locked(toolbox).digest)
    assert image is not None
    assert f"python{PYTHON}" in {each.split()[0] for each in image.base_packages}
    assert image.layers[1].holds == "python: a venv of the base's Python"
