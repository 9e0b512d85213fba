"""A wheelhouse: what has no wheel is built once, of locked build requirements, for locks."""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from elt_env.cli import main
from elt_env.errors import InputError, NoWheelError, ToolError, UnsatisfiableError
from elt_env.lock.make import lock
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.pip.wheelhouse import Wheelhouse
from elt_env.project.settings import open_project
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
    return typed("wheelhouse", "elt", *arguments, code=code)


def typed(*arguments: str, code: int = 0) -> str:
    """Run `elt-env`, which ends with that exit code, and return all that it says."""
    done = CliRunner().invoke(main, arguments)
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


class Stranger:
    """Somebody with files that no policy lists, in a directory with nothing else in it."""

    def __init__(self, place: Path, index: IndexServer) -> None:
        self.place, self.index = place, index

    def write(self, *pip: str, file: str = "environment.yml", python: str = "python=3.11") -> None:
        path = self.place / file
        path.parent.mkdir(parents=True, exist_ok=True)
        spec = {"name": "dbt-tools", "dependencies": [python, {"pip": list(pip)}]}
        path.write_text(yaml.safe_dump(spec))

    def offer_wheel(self, name: str, version: str, *requires: str) -> None:
        wheel = make_wheel(self.place.parent, name, version, requires=requires)
        self.index.add(wheel, uploaded=LONG_AGO)

    def offer_sdist(self, name: str, version: str, *requires: str) -> None:
        sdist = make_sdist(self.place.parent, name, version, requires=requires)
        self.index.add(sdist, uploaded=LONG_AGO)

    def lock(self, target: str = "dbt-tools@3.11") -> Lock:
        tools = toolbox_of(open_project(), target.partition("@")[0])
        found = tools.store.current_lock(target_here(*target.split("@")))
        assert found is not None
        return found

    def built(self) -> set[str]:
        return {each.name for each in self.place.glob("wheelhouse/*.whl")}


@pytest.fixture
def stranger(tmp_path: Path, index: IndexServer, monkeypatch: pytest.MonkeyPatch) -> Stranger:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    monkeypatch.setenv("ELT_ENV_INDEX", index.url)
    monkeypatch.setenv("ELT_ENV_PYTHON", "venv")
    return Stranger(tmp_path / "empty", index)


def remedy_in(told: str) -> Sequence[str]:
    """Return the arguments of the command that a refusal tells to build wheels with."""
    (found,) = re.findall(r"uild its wheel once: elt-env (wheelhouse .*?), or ", told)
    return shlex.split(found)


def test_what_a_file_without_policy_needs_is_built_by_the_command_that_is_told(
    stranger: Stranger,
) -> None:
    stranger.offer_sdist("direct", "1.0")
    stranger.offer_wheel("above", "1.0", "middle")
    stranger.offer_wheel("middle", "1.0", "deep>=1")
    stranger.offer_sdist("deep", "1.0", "dual")
    stranger.offer_wheel("dual", "1.0")
    stranger.offer_sdist("dual", "2.0")
    stranger.write("direct", "above", "dual")
    told = typed("lock", "environment.yml", code=UnsatisfiableError.exit_code)
    assert "[tool.elt-env] of the pyproject.toml that elt-env init writes" in told
    assert remedy_in(told) == ["wheelhouse", "environment.yml"]

    told = typed(*remedy_in(told))
    assert stranger.built() == {"direct-1.0-py3-none-any.whl", "deep-1.0-py3-none-any.whl"}
    assert "Locks take from it: elt-env build environment.yml" in told
    assert not (stranger.place / "pyproject.toml").exists()

    typed("lock", "environment.yml")
    locked = {each.name: each for each in stranger.lock().pip}
    assert locked.keys() == {"direct", "above", "middle", "deep", "dual"}
    house = (stranger.place / "wheelhouse").as_uri()
    assert {name for name in locked if locked[name].url.startswith(house)} == {"direct", "deep"}
    assert locked["dual"].version == "1.0"
    assert "dbt-tools@3.11 needs has a wheel" in typed("wheelhouse", "environment.yml")


def test_an_sdist_that_is_newer_than_a_wheel_is_no_reason_to_build(stranger: Stranger) -> None:
    stranger.offer_wheel("dual", "1.0")
    stranger.offer_sdist("dual", "2.0")
    stranger.write("dual")
    assert "Everything that dbt-tools@3.11 needs has a wheel." in typed("wheelhouse", ".")
    assert not (stranger.place / "wheelhouse").exists()


def test_the_only_version_that_may_be_taken_is_built_beside_wheels_of_others(
    stranger: Stranger,
) -> None:
    stranger.offer_wheel("dual", "1.0")
    stranger.offer_sdist("dual", "2.0")
    stranger.offer_sdist("dual", "3.0rc1")
    stranger.write("dual>=2")
    told = typed("lock", "environment.yml", code=UnsatisfiableError.exit_code)
    typed(*remedy_in(told))
    assert stranger.built() == {"dual-2.0-py3-none-any.whl"}
    typed("lock", "environment.yml")
    assert [each.version for each in stranger.lock().pip] == ["2.0"]


def test_the_command_names_the_file_its_python_and_its_name_as_they_were_typed(
    stranger: Stranger,
) -> None:
    stranger.offer_sdist("direct", "1.0")
    stranger.write("direct", file="my files/all.yml", python="python")
    asked = ("my files/all.yml", "--python", "3.11", "--name", "own")
    told = typed("lock", *asked, code=UnsatisfiableError.exit_code)
    assert remedy_in(told) == ["wheelhouse", *asked]
    assert f"elt-env build {shlex.join(asked)}" in typed(*remedy_in(told))
    typed("lock", *asked)
    (found,) = stranger.lock("own@3.11").pip
    assert found.url.startswith(stranger.place.as_uri())


def test_what_holds_back_a_package_for_want_of_a_wheel_is_told_and_built(
    stranger: Stranger,
) -> None:
    stranger.offer_wheel("tool", "0.7")
    stranger.offer_wheel("tool", "0.26", "limit")
    stranger.offer_sdist("limit", "2.2")
    stranger.write("tool")
    told = typed("lock", "environment.yml")
    assert "tool 0.26 needs limit, which has no wheel" in told

    told = typed("wheelhouse", "environment.yml")
    assert stranger.built() == {"limit-2.2-py3-none-any.whl"}
    assert "Locks take from it: elt-env relock dbt-tools@3.11" in told
    typed("relock", "dbt-tools@3.11")
    assert {each.name: each.version for each in stranger.lock().pip} == {
        "tool": "0.26",
        "limit": "2.2",
    }


def test_the_newest_version_is_built_where_only_an_old_one_has_a_wheel(stranger: Stranger) -> None:
    stranger.offer_wheel("tool", "0.20", "old")
    stranger.offer_sdist("old", "1.0")
    stranger.offer_sdist("tool", "1.9")
    stranger.write("tool")
    told = typed("lock", "environment.yml", code=UnsatisfiableError.exit_code)
    assert "tool 1.9 has no wheel" in told
    typed(*remedy_in(told))
    assert stranger.built() == {"tool-1.9-py3-none-any.whl"}


def test_a_conflict_that_no_wheel_would_solve_is_told(stranger: Stranger) -> None:
    stranger.offer_sdist("direct", "1.0")
    stranger.offer_wheel("part", "1.0")
    stranger.offer_wheel("above", "1.0", "part<1")
    stranger.write("direct", "above")
    told = typed("wheelhouse", "environment.yml", code=UnsatisfiableError.exit_code)
    assert "no index has part<1" in told
    assert not (stranger.place / "wheelhouse").exists()


def test_a_lock_is_kept_where_a_wheelhouse_appears(stranger: Stranger) -> None:
    stranger.offer_wheel("part", "1.0")
    stranger.write("part")
    typed("lock", "environment.yml")
    wheel = make_wheel(stranger.place.parent, "part", "2.0")
    typed("wheelhouse", "environment.yml", str(wheel))
    assert " kept" in typed("lock", "environment.yml")
    typed("relock", "dbt-tools")
    assert [each.version for each in stranger.lock().pip] == ["2.0"]


def test_a_directory_that_is_called_as_a_wheelhouse_is_not_taken_for_one(
    stranger: Stranger,
) -> None:
    stranger.offer_wheel("part", "1.0")
    make_wheel(stranger.place / "wheelhouse", "part", "2.0")
    stranger.write("part")
    typed("lock", "environment.yml")
    assert [each.version for each in stranger.lock().pip] == ["1.0"]
