"""`elt-env init`: a directory becomes a project, whatever it holds, and nothing of it is lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elt_env.cli import main
from elt_env.definitions import project_definitions
from elt_env.errors import InputError, PolicyError, SpecError
from elt_env.project.settings import open_project
from elt_env.spec.file import read_spec

_SPEC = "name: Mine\ndependencies:\n  - python=3.11\n  - pip:\n      - dbt-duckdb\n"
_DBT = "name: Jaffle Shop\nprofile: jaffle\nvars:\n  schema: \"{{ env_var('SCHEMA') }}\"\n"
_PROFILE = """\
jaffle:
  target: ci
  outputs:
    dev: {type: duckdb, path: x.duckdb}
    ci: {type: postgres, password: "{{ env_var('DBT_PASSWORD') }}"}
"""


def _init(*arguments: str | Path, typed: str | None = None) -> Result:
    return CliRunner().invoke(main, ["init", *map(str, arguments)], input=typed)


def _tree(root: Path) -> dict[str, bytes]:
    return {each.name: each.read_bytes() for each in root.iterdir() if each.is_file()}


def test_an_environment_file_gets_a_policy_that_dagster_loads(tmp_path: Path) -> None:
    tmp_path.joinpath("environment.yml").write_text(_SPEC)
    done = _init(tmp_path, "--yes")
    assert done.exit_code == 0, done.output
    project = open_project(tmp_path)
    mine = project.policy.environments["mine"]
    assert (mine.spec, mine.pythons, mine.promote) == ("environment.yml", ("3.11",), "auto")
    assert tmp_path.joinpath("environment.yml").read_text() == _SPEC
    project_definitions(project).resolve_job_def("mine_build")


def test_a_second_time_writes_nothing_and_what_is_missing_is_written(tmp_path: Path) -> None:
    assert _init(tmp_path, "--yes").exit_code == 0
    first = _tree(tmp_path)
    again = _init(tmp_path, "--yes", "--name", "other")
    assert again.exit_code == 0
    assert "nothing was written" in again.output
    assert _tree(tmp_path) == first
    tmp_path.joinpath("workspace.yaml").unlink()
    assert _init(tmp_path).exit_code == 0
    assert _tree(tmp_path) == first


@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", ["", "\n"])
def test_a_pyproject_is_added_to_and_its_dependencies_become_the_spec(
    tmp_path: Path, line_end: str, last: str
) -> None:
    text = (
        '[project]\nname = "x"\nversion = "1"\nrequires-python = ">=3.10, <3.13"\n'
        'dependencies = [\n  "dagster>=1.12",  # the orchestrator\n  "dbt_duckdb[glue]~=1.10",\n]\n'
        "\n[tool.ruff]\nline-length = 99"
    )
    before = (text + last).replace("\n", line_end).encode()
    tmp_path.joinpath("pyproject.toml").write_bytes(before)
    done = _init(tmp_path, "--yes", "--name", "elt", "--python", "3.11", "--python", "3.12")
    assert done.exit_code == 0, done.output
    after = tmp_path.joinpath("pyproject.toml").read_bytes()
    assert after.startswith(before)
    assert (b"\r\n" in after) == (line_end == "\r\n")
    assert b"\n" not in after.replace(b"\r\n", b"") or line_end == "\n"
    project = open_project(tmp_path)
    spec = project.spec("elt")
    assert spec.python == ">=3.10,<3.13"
    assert spec.pip == ("dagster>=1.12", "dbt-duckdb[glue]~=1.10")
    assert project.policy.environments["elt"].pythons == ("3.11", "3.12")


def test_a_dbt_project_brings_its_adapter_and_proves_the_environment(tmp_path: Path) -> None:
    tmp_path.joinpath("dbt_project.yml").write_text(_DBT)
    tmp_path.joinpath("profiles.yml").write_text(_PROFILE)
    tmp_path.joinpath("meltano.yml").write_text("version: 1\n")
    assert _init(tmp_path, "--yes", "--name", "shop").exit_code == 0
    project = open_project(tmp_path)
    assert project.spec("shop").pip == ("dbt-postgres", "meltano")
    check = project.policy.environments["shop"].checks["jaffle_shop_project"]
    assert (check.kind, check.words) == ("dbt", ("parse",))
    assert check.environment == ("DBT_PASSWORD", "SCHEMA")


def test_a_profile_of_this_machine_names_the_adapter_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.joinpath(".dbt").mkdir(parents=True)
    home.joinpath(".dbt", "profiles.yml").write_text(_PROFILE)
    monkeypatch.setenv("HOME", str(home))
    root = tmp_path / "project"
    root.mkdir()
    root.joinpath("dbt_project.yml").write_text(_DBT)
    assert _init(root, "--yes").exit_code == 0
    project = open_project(root)
    assert project.spec("project").pip == ("dbt-postgres",)
    assert not project.policy.environments["project"].checks


@pytest.mark.parametrize("name", ["uv.lock", "poetry.lock", "Pipfile.lock"])
def test_where_another_tool_has_locked_its_lock_is_the_next_thing_to_take(
    name: str, tmp_path: Path
) -> None:
    tmp_path.joinpath("requirements.txt").write_text("six\n")
    tmp_path.joinpath(name).write_text("")
    done = _init(tmp_path, "--yes", "--name", "elt", "--python", "3.11")
    after = done.output.partition("Next:")[2]
    assert f"adopt {name} --as elt@3.11" in after
    assert after.index(" adopt ") < after.index(" build ")
    tmp_path.joinpath(name).unlink()
    assert " adopt " not in _init(tmp_path).output


def test_requirements_are_read_where_they_stand(tmp_path: Path) -> None:
    tmp_path.joinpath("requirements.txt").write_text("dagster==1.13.1\nsix\n")
    assert _init(tmp_path, "--yes", "--name", "elt").exit_code == 0
    spec = open_project(tmp_path).spec("elt")
    assert spec.pip == ("dagster==1.13.1", "six")
    assert spec.files == ("requirements.txt",)


def test_a_workspace_that_is_there_is_left_and_said(tmp_path: Path) -> None:
    own = "load_from:\n  - python_file: mine.py\n"
    tmp_path.joinpath("workspace.yaml").write_text(own)
    done = _init(tmp_path, "--yes")
    assert "elt_env.definitions" in done.output
    assert tmp_path.joinpath("workspace.yaml").read_text() == own


def test_a_new_directory_is_made(tmp_path: Path) -> None:
    done = _init(tmp_path / "one" / "two", "--yes")
    assert done.exit_code == 0, done.output
    assert open_project(tmp_path / "one" / "two").spec("two").pip


def test_what_poetry_is_asked_for_is_the_spec(tmp_path: Path) -> None:
    text = '[tool.poetry.dependencies]\npython = "^3.11"\nsix = "^1"\n'
    tmp_path.joinpath("pyproject.toml").write_text(text)
    assert _init(tmp_path, "--yes", "--name", "elt").exit_code == 0
    spec = open_project(tmp_path).spec("elt")
    assert (spec.python, spec.pip) == (">=3.11,<4", ("six<2,>=1",))
    assert spec.files == ("pyproject.toml",)


@pytest.mark.parametrize(
    ("files", "arguments", "error"),
    [
        ({"environment.yml": "dependencies: {"}, (), SpecError),
        ({"environment.yml": "dependencies: [python=2.7]\n"}, (), SpecError),
        ({"environment.yml": "dependencies: [python=3.11]\n"}, ("--python", "3.12"), InputError),
        ({"pyproject.toml": "["}, (), PolicyError),
        ({"pyproject.toml": f"a = {'[' * 60}{']' * 60}\n"}, (), PolicyError),
        ({"pyproject.toml": "tool = {ruff = {}}\n"}, (), PolicyError),
        ({"pyproject.toml": '[project]\nrequires-python = "^3.11"\n'}, (), SpecError),
        ({"pyproject.toml": '[project]\ndependencies = ["a b c"]\n'}, (), SpecError),
        ({"dbt_project.yml": "name: [\n"}, (), InputError),
        ({"requirements.txt": "-e .\n"}, (), SpecError),
        ({}, ("--name", "No Name"), InputError),
        ({}, ("--python", "4"), InputError),
    ],
)
def test_what_cannot_be_used_is_said_and_nothing_is_written(
    tmp_path: Path, files: dict[str, str], arguments: tuple[str, ...], error: type[Exception]
) -> None:
    for name, text in files.items():
        tmp_path.joinpath(name).write_text(text)
    before = _tree(tmp_path)
    done = _init(tmp_path, "--yes", *arguments)
    assert done.exit_code == error.exit_code, done.output  # type: ignore[attr-defined]
    assert "  -> " in done.output
    assert _tree(tmp_path) == before


def test_a_file_is_no_directory(tmp_path: Path) -> None:
    tmp_path.joinpath("file").touch()
    assert _init(tmp_path / "file").exit_code == InputError.exit_code


def test_at_a_terminal_three_questions_are_asked(tmp_path: Path) -> None:
    person, terminal = os.openpty()
    os.write(person, b"mine\n3.11 3.12\ndbt-sqlite dagster\n")
    done = subprocess.run(
        [Path(sys.executable).with_name("elt-env"), "init", "."],
        cwd=tmp_path,
        stdin=terminal,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    os.close(terminal)
    os.close(person)
    assert "elt-env build mine " in done.stdout
    assert "dagster dev -w workspace.yaml " in done.stdout
    project = open_project(tmp_path)
    assert project.policy.environments["mine"].pythons == ("3.11", "3.12")
    assert project.spec("mine").pip == ("dagster", "dbt-sqlite")


def test_a_code_location_with_a_setup_py_is_asked_what_it_lists(tmp_path: Path) -> None:
    listed = "setup(install_requires=['dagster', 'dbt-duckdb<1.9'], extras_require={'dev': []})"
    tmp_path.joinpath("setup.py").write_text(listed)
    done = _init(tmp_path, "--yes", "--name", "elt")
    assert done.exit_code == 0, done.output
    assert "environment.yml asks for what stands in setup.py" in done.output
    assert "setup.py, line 1: 'extras_require' is left out." in done.output
    spec = read_spec(tmp_path, "environment.yml")
    assert spec.pip == ("dagster", "dbt-duckdb<1.9")


def test_groups_that_are_left_out_are_said(tmp_path: Path) -> None:
    asked = (
        "[project]\nname = 'it'\ndependencies = []\n[tool.uv]\ndev-dependencies = ['dbt-core']\n"
    )
    tmp_path.joinpath("pyproject.toml").write_text(asked)
    done = _init(tmp_path, "--yes", "--name", "elt")
    assert "pyproject.toml, line 5: 'dev-dependencies' is left out." in done.output


_FOREIGN = {
    "requirements.txt": "# $ conda create --name <env> --file <this file>\n"
    "python=3.11.5=h955ad1f_0\ndbt-duckdb=1.9.1=pypi_0\n",
    "Pipfile": "[packages]\ndbt-duckdb = '*'\n[requires]\npython_version = '3.11'\n",
    "pixi.toml": "[workspace]\nname = 'elt'\nchannels = ['conda-forge']\n"
    "[dependencies]\npython = '3.11.*'\n[pypi-dependencies]\ndbt-duckdb = '*'\n",
    "pyproject.toml": "[project]\nname = 'elt'\nrequires-python = '==3.11.*'\n"
    "dependencies = ['dbt-duckdb']\n[tool.pixi.workspace]\nchannels = ['conda-forge']\n",
}


@pytest.mark.parametrize("name", _FOREIGN)
def test_a_file_of_another_tool_is_the_spec(tmp_path: Path, name: str) -> None:
    tmp_path.joinpath(name).write_text(_FOREIGN[name])
    done = _init(tmp_path, "--yes", "--name", "elt")
    assert done.exit_code == 0, done.output
    environment = open_project(tmp_path).policy.environments["elt"]
    assert (environment.spec, environment.pythons) == (name, ("3.11",))
    assert not tmp_path.joinpath("environment.yml").exists()
    assert [each.partition("=")[0] for each in read_spec(tmp_path, name).pip] == ["dbt-duckdb"]
