"""What a pyproject.toml says beside the list of PEP 621."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.errors import SpecError
from elt_env.spec.document import Spec
from elt_env.spec.faults import FaultsError
from elt_env.spec.file import read_spec
from elt_env.spec.foreign.pyproject import python_bound

_COMMIT = "a" * 40


def _read(place: Path, text: str) -> Spec:
    (place / "pyproject.toml").write_text(text)
    return read_spec(place, "pyproject.toml")


def _told(spec: Spec) -> dict[str, int]:
    return {each.problem.split("'")[1]: each.line for each in spec.warnings}


def test_what_uv_is_told_beside_the_list(tmp_path: Path) -> None:
    spec = _read(
        tmp_path,
        f"""\
[project]
name = "elt"
dependencies = ["Requests[socks]>=2; python_version < '4'", "dbt-duckdb"]
[tool.uv]
constraint-dependencies = [
  "urllib3<2",
  "idna!=3.5",
]
override-dependencies = ["click==8.1"]
[tool.uv.sources]
requests = {{ git = "https://git.example/requests", rev = "{_COMMIT}" }}
dbt-duckdb = {{ index = "own" }}
[[tool.uv.index]]
name = "own"
url = "https://user:secret@packages.example/simple"
""",
    )
    assert spec.pip == ("dbt-duckdb",)
    assert [(each.url, each.commit) for each in spec.directs] == [
        ("https://git.example/requests", _COMMIT)
    ]
    assert spec.directs[0].extras == ("socks",)
    assert spec.constraints == ("idna!=3.5", "urllib3<2")
    assert spec.files == ()
    assert _told(spec) == {"override-dependencies": 9, "index": 13}
    assert "secret" not in str(spec.warnings)


def test_a_wrong_constraint_of_uv_is_told_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match=r"pyproject.toml, line 4: 'urllib3 2' has no '=='"):
        _read(
            tmp_path,
            '[project]\ndependencies = ["requests"]\n'
            '[tool.uv]\nconstraint-dependencies = ["urllib3 2"]\n',
        )


def test_a_project_of_poetry_2_is_what_its_list_says(tmp_path: Path) -> None:
    spec = _read(
        tmp_path,
        f"""\
[project]
name = "elt"
requires-python = ">=3.10"
dependencies = ["dbt-duckdb (>=1.8,<2.0)", "own"]
[tool.poetry.dependencies]
python = "<3.13"
own = {{ git = "https://git.example/own", rev = "{_COMMIT}" }}
dagster = "^1.9"
[[tool.poetry.source]]
name = "corp"
url = "https://packages.example/simple"
""",
    )
    assert (spec.pip, spec.python) == (("dbt-duckdb<2.0,>=1.8",), ">=3.10,<3.13")
    assert [each.name for each in spec.directs] == ["own"]
    assert _told(spec) == {"dagster": 8, "source": 9}


def test_a_project_of_poetry_2_whose_dependencies_are_dynamic(tmp_path: Path) -> None:
    spec = _read(
        tmp_path,
        """\
[project]
name = "elt"
requires-python = ">=3.11"
dynamic = ["dependencies"]
[tool.poetry.dependencies]
dagster = "^1.9"
[tool.poetry.group.main.dependencies]
dbt-duckdb = "~1.9"
""",
    )
    assert (spec.name, spec.python) == ("elt", ">=3.11")
    assert spec.pip == ("dagster<2,>=1.9", "dbt-duckdb<1.10,>=1.9")


def test_the_table_of_conda_lock_is_conda_s_half(tmp_path: Path) -> None:
    spec = _read(
        tmp_path,
        """\
[project]
dependencies = ["dbt-duckdb"]
requires-python = ">=3.10"
[tool.conda-lock]
channels = ["conda-forge"]
[tool.conda-lock.dependencies]
sqlite = ">=3.34"
python = "<3.13"
certifi = {version = ">=2024", source = "pypi"}
""",
    )
    assert spec.channels == ("conda-forge",)
    assert [str(each) for each in spec.conda] == ["sqlite >=3.34"]
    assert spec.python == ">=3.10,<3.13"
    assert spec.pip == ("certifi>=2024", "dbt-duckdb")


_PROJECT = """\
[project]
dependencies = [
  "dbt-duckdb>=1.9",
  "pandas",
]
[dependency-groups]
lint = ["ruff >= 0.1"]
dev = [
  "pytest",
  {include-group = "lint"},
]
[tool.poetry.group.docs.dependencies]
mkdocs = "^1.5"
"""


@pytest.mark.parametrize("of", ["environment.yml", "requirements.in"])
def test_a_project_and_its_groups_stand_beside_other_lines(tmp_path: Path, of: str) -> None:
    (tmp_path / "elt").mkdir()
    (tmp_path / "elt/pyproject.toml").write_text(_PROJECT)
    lines = ["-r elt/pyproject.toml", "--group elt/pyproject.toml:dev"]
    lines += ["--group=elt/pyproject.toml:docs", "httpx"]
    head = "dependencies:\n- python\n- pip:\n" if of.endswith("yml") else ""
    item = "  - " if head else ""
    (tmp_path / of).write_text(head + "".join(f"{item}{each}\n" for each in lines))
    spec = read_spec(tmp_path, of)
    assert spec.pip == (
        "dbt-duckdb>=1.9",
        "httpx",
        "mkdocs<2,>=1.5",
        "pandas",
        "pytest",
        "ruff>=0.1",
    )
    assert "elt/pyproject.toml" in spec.files


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("--group pyproject.toml:none", "spec.in, line 1: pyproject.toml has no group 'none'"),
        ("--group cycle", "spec.in, line 1: the group 'cycle' of pyproject.toml cannot be used"),
        ("--group wrong", "the group 'wrong' of pyproject.toml cannot be used"),
        ("--group local", "pyproject.toml, line 4: './here' is a project's directory"),
        ("--group other.toml:x", "the file other.toml cannot be read"),
        ("-r pyproject.toml", r"pyproject.toml has no list \[project\] dependencies"),
    ],
)
def test_a_group_that_cannot_be_used(tmp_path: Path, lines: str, message: str) -> None:
    (tmp_path / "pyproject.toml").write_text(
        '[dependency-groups]\ncycle = [{include-group = "cycle"}]\nwrong = [1, {a = "b"}]\n'
        'local = ["here @ ./here"]\n'
    )
    (tmp_path / "spec.in").write_text(f"{lines}\n")
    with pytest.raises(FaultsError, match=message):
        read_spec(tmp_path, "spec.in")


_POETRY = '[tool.poetry.dependencies]\npython = "~2.7 || ^3.9"\n'


def test_alternatives_of_python_stay(tmp_path: Path) -> None:
    asked = 'six = {version = "*", python = "~2.7 || >=3.10.2"}\n'
    spec = _read(tmp_path, _POETRY + asked)
    assert spec.python == ">=2.7,<2.8|>=3.9,<4"
    (marker,) = (each.partition("; ")[2] for each in spec.pip)
    assert marker == (
        'python_version >= "2.7" and python_version < "2.8" or python_full_version >= "3.10.2"'
    )


def test_a_python_of_the_project_and_one_of_poetry_both_hold(tmp_path: Path) -> None:
    project = "[project]\nrequires-python = '>=3.10'\ndependencies = []\n"
    text = project + _POETRY
    assert _read(tmp_path, text).python == ">=3.10,>=3.9,<4"
    assert python_bound(text, "pyproject.toml") == ">=3.10,>=3.9,<4"


def test_a_key_that_means_nothing_here_is_told(tmp_path: Path) -> None:
    spec = _read(tmp_path, _POETRY + 'a = {version = "^1", allow-prereleases = true}\n')
    assert [(each.line, each.problem) for each in spec.warnings] == [
        (3, "'allow-prereleases' of 'a' is left out.")
    ]


def test_projects_in_directories_are_not_installed(tmp_path: Path) -> None:
    for name, asked in (("one", 'six = "*"\ntwo = {path = "../two"}\n'), ("two", "")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(_POETRY + asked)
    spec = _read(tmp_path, _POETRY + 'one = {path = "one", develop = true}\n')
    assert (spec.pip, spec.files) == (("six",), ("one/pyproject.toml", "two/pyproject.toml"))
    told = "'{0}' in {1} is not installed; what it asks for is."
    assert sorted((each.place, each.problem) for each in spec.warnings) == [
        ("one/pyproject.toml, line 4", told.format("two", "../two")),
        ("pyproject.toml, line 3", told.format("one", "./one")),
    ]


@pytest.mark.parametrize(
    ("asked", "more"),
    [
        ("one[s3]", '[tool.uv.sources]\none = {path = "libs/one", editable = true}\n'),
        ("one[s3] @ file:///${PROJECT_ROOT}/libs/one", ""),
    ],
)
def test_a_source_in_a_directory_is_not_installed(tmp_path: Path, asked: str, more: str) -> None:
    (tmp_path / "libs" / "one").mkdir(parents=True)
    (tmp_path / "libs" / "one" / "pyproject.toml").write_text("[project]\ndependencies = ['six']")
    spec = _read(tmp_path, f"[project]\ndependencies = ['{asked}']\n{more}")
    assert spec.pip == ("six",)
    assert [each.problem for each in spec.warnings] == [
        "'one' in ./libs/one is not installed; what it asks for is, without its extras s3."
    ]


def test_a_member_of_the_workspace_is_refused_with_what_works(tmp_path: Path) -> None:
    sources = "[tool.uv.sources]\none = {workspace = true}\n"
    with pytest.raises(FaultsError, match=r"line 4: 'one' is a member of this workspace") as error:
        _read(tmp_path, "[project]\ndependencies = ['one']\n" + sources)
    assert "elt-env adopt uv.lock" in str(error.value)


def test_a_directory_for_one_platform_is_refused_as_one(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match=r"'\./one' is a project's directory"):
        _read(tmp_path, _POETRY + 'one = {path = "one", platform = "linux"}\n')


@pytest.mark.parametrize(
    "where",
    [
        "[tool.setuptools.dynamic]\ndependencies = {file = ['base.txt']}\n",
        "[tool.setuptools.dynamic]\ndependencies = {file = 'base.txt'}\n",
        "[tool.hatch.metadata.hooks.requirements_txt]\nfiles = ['base.txt']\n",
    ],
)
def test_a_backend_reads_the_dependencies_from_files(tmp_path: Path, where: str) -> None:
    (tmp_path / "base.txt").write_text("dbt-duckdb\n")
    spec = _read(tmp_path, "[project]\nname = 'it'\ndynamic = ['dependencies']\n" + where)
    assert (spec.pip, spec.files) == (("dbt-duckdb",), ("base.txt",))


def test_what_is_known_when_it_is_built_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="'dependencies' are dynamic") as error:
        _read(tmp_path, "[project]\nname = 'it'\ndynamic = ['version', 'dependencies']\n")
    assert "elt-env build requirements.txt" in str(error.value)


@pytest.mark.parametrize("tool", ["uv", "pdm"])
def test_older_groups_are_told(tmp_path: Path, tool: str) -> None:
    groups = "['ruff']" if tool == "uv" else "{test = ['ruff']}"
    text = f"[project]\ndependencies = []\n[tool.{tool}]\ndev-dependencies = {groups}\n"
    assert _told(_read(tmp_path, text)) == {"dev-dependencies": 4}


def test_a_directory_without_a_project_is_said_to_be_none(tmp_path: Path) -> None:
    with pytest.raises(FaultsError, match=r"line 3: the file one/pyproject.toml cannot be") as told:
        _read(tmp_path, _POETRY + 'one = {path = "one"}\n')
    assert "setup.py" in str(told.value)


@pytest.mark.parametrize(
    ("group", "pip"),
    [
        ("s3", ("boto3", "s3fs")),
        ("all", ("boto3", "pandas", "s3fs")),
        ("dev", ("pytest", "ruff")),
        ("lint", ("mypy",)),
    ],
)
def test_extras_and_older_groups_are_groups_too(
    tmp_path: Path, group: str, pip: tuple[str, ...]
) -> None:
    (tmp_path / "pyproject.toml").write_text(
        """\
[project]
name = "Acme.ELT"
[project.optional-dependencies]
s3 = ["s3fs", "boto3"]
all = ["acme-elt[s3]", "pandas"]
[dependency-groups]
dev = ["pytest"]
[tool.uv]
dev-dependencies = ["ruff"]
[tool.pdm.dev-dependencies]
lint = ["mypy"]
"""
    )
    (tmp_path / "spec.in").write_text(f"--group {group}\n")
    assert read_spec(tmp_path, "spec.in").pip == pip


def test_the_older_group_of_poetry(tmp_path: Path) -> None:
    table = '[tool.poetry.dev-dependencies]\npytest = "^8"\n'
    (tmp_path / "pyproject.toml").write_text(_POETRY + table)
    (tmp_path / "spec.in").write_text("--group dev\n")
    assert read_spec(tmp_path, "spec.in").pip == ("pytest<9,>=8",)
