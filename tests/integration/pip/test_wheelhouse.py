"""A wheelhouse: what has no wheel is built once, of locked build requirements, for locks."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from elt_env.cli import main
from elt_env.errors import InputError, NoWheelError, ToolError
from elt_env.lock.make import lock
from elt_env.pip.wheelhouse import Wheelhouse
from elt_env.runtime.files import sha256_of
from elt_env.tools import Tools
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, target_of
from tests.support.project import make_project, toolbox_of
from tests.support.sample import silent
from tests.support.wheels import make_sdist, make_wheel

# A backend that compiles a module with what `helper` and `more`, its build requirements, say.
_BACKEND = """\
import pathlib, subprocess, sysconfig, zipfile

def get_requires_for_build_wheel(config_settings=None):
    return ["more"]

def build_wheel(directory, config_settings=None, metadata_directory=None):
    import helper, more
    suffix = sysconfig.get_config_var("EXT_SUFFIX")
    include = sysconfig.get_path("include")
    subprocess.run(
        ["cc", "-shared", "-fPIC", f"-I{include}", "native.c", "-o", f"native{suffix}"], check=True
    )
    tag = "cp311-cp311-linux_x86_64"
    name, info = f"native-1.0-{tag}.whl", "native-1.0.dist-info"
    with zipfile.ZipFile(pathlib.Path(directory, name), "w") as wheel:
        wheel.write(f"native{suffix}")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\\nName: native\\nVersion: 1.0\\n")
        wheel.writestr(
            f"{info}/WHEEL", f"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: {tag}\\n"
        )
        wheel.writestr(f"{info}/RECORD", f"native{suffix},,\\n{info}/RECORD,,\\n")
    return name
"""
_PROJECT = """\
[build-system]
requires = ["helper"]
build-backend = "backend"
backend-path = ["."]
"""
_CODE = """\
#include <Python.h>
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "native", "", -1, NULL};
PyMODINIT_FUNC PyInit_native(void) { return PyModule_Create(&module); }
"""


@pytest.fixture
def root(index: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that asks for `sdist-only`, in whose directory one types."""
    index.add(make_sdist(tmp_path / "files", "sdist-only", "1.0"), uploaded=LONG_AGO)
    for name in ("helper", "more"):
        index.add(make_wheel(tmp_path / "files", name, "1.0"), uploaded=LONG_AGO)
    opened(tmp_path / "project", index)
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def opened(root: Path, index: IndexServer) -> Tools:
    project = make_project(
        root,
        channels=[],
        index=index.url,
        pip=["sdist-only"],
        policy={"wheelhouse": "wheelhouse"},
        environment={"python": "venv"},
    )
    return toolbox_of(project)


def type_wheelhouse(*arguments: str, code: int = 0) -> str:
    """Run the command, which ends with that exit code, and return all that it says."""
    done = CliRunner().invoke(main, ["wheelhouse", "elt", *arguments])
    assert done.exit_code == code, done.output
    return done.output


def native_project(place: Path, code: str = _CODE) -> Path:
    place.mkdir()
    for name, text in (("pyproject.toml", _PROJECT), ("backend.py", _BACKEND), ("native.c", code)):
        (place / name).write_text(text)
    return place


def test_what_has_no_wheel_is_built_once_and_locks_take_it(root: Path, index: IndexServer) -> None:
    tools = opened(root, index)
    with pytest.raises(NoWheelError) as caught:
        lock(target_of(tools), tools, silent)
    assert "elt-env wheelhouse elt@3.11" in caught.value.remedy

    told = type_wheelhouse()
    (wheel,) = (root / "wheelhouse").glob("*.whl")
    assert f"{sha256_of(wheel)}  {wheel}" in told

    tools = opened(root, index)
    (found,) = lock(target_of(tools), tools, silent).lock.pip
    assert (found.name, found.sha256) == ("sdist-only", sha256_of(wheel))
    assert found.url == wheel.as_uri()
    assert "has a wheel" in type_wheelhouse()


@pytest.mark.skipif(sys.platform != "linux", reason="auditwheel is for Linux")
def test_a_native_project_of_a_team_comes_in_the_same_way(root: Path) -> None:
    project = native_project(root / "native")
    before = {each.name for each in project.iterdir()}

    type_wheelhouse(str(project))

    assert {each.name for each in project.iterdir()} == before
    (wheel,) = (root / "wheelhouse").glob("*.whl")
    assert "manylinux" in wheel.name
    (record,) = json.loads((root / "wheelhouse" / "wheelhouse.json").read_text()).values()
    assert record["sha256"] == sha256_of(wheel)
    locked = [line for line in record["requirements"] if "==" in line]
    assert locked == ["helper==1.0 \\", "more==1.0 \\"]
    assert sum("--hash=sha256:" in line for line in record["requirements"]) == 2

    built = wheel.stat().st_mtime_ns
    type_wheelhouse(str(project))
    assert wheel.stat().st_mtime_ns == built


def test_what_a_build_lacks_is_named_and_nothing_is_kept(root: Path) -> None:
    code = "#include <libpq-fe-none.h>\n#include <libpq-fe.h>\n"
    project = native_project(root / "native", code)
    told = type_wheelhouse(str(project), code=ToolError.exit_code)
    assert "this machine lacks the header libpq-fe-none.h\n" in told
    assert not (root / "wheelhouse").exists()


def test_the_directory_is_an_index_too(root: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path, "Some.Thing", "1.0", requires_python=">=3.8")
    type_wheelhouse(str(wheel))
    page = (root / "wheelhouse" / "simple" / "some-thing" / "index.html").read_text()
    assert f'href="../../{wheel.name}#sha256={sha256_of(wheel)}"' in page
    assert 'data-requires-python="&gt;=3.8"' in page
    assert '<a href="some-thing/">' in (root / "wheelhouse" / "simple" / "index.html").read_text()


def test_a_wheel_that_was_changed_is_built_again(tmp_path: Path) -> None:
    house = Wheelhouse(tmp_path / "house")
    path = house.add(make_wheel(tmp_path, "thing", "1.0"), "a key", "thing 1.0", "")
    assert house.find("a key") == path
    path.write_bytes(b"changed")
    assert house.find("a key") is None


def test_what_is_no_source_is_refused(root: Path) -> None:
    (root / "some.txt").touch()
    told = type_wheelhouse("some.txt", code=InputError.exit_code)
    assert "some.txt is no directory, sdist or wheel" in told
    (root / "empty").mkdir()
    told = type_wheelhouse("empty", code=InputError.exit_code)
    assert "neither a pyproject.toml nor a setup.py" in told
