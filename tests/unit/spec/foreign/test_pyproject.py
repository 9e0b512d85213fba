"""What a pyproject.toml says beside the list of PEP 621."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.spec.document import Spec
from elt_env.spec.faults import FaultsError
from elt_env.spec.file import read_spec

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
