"""Files of other tools are read as specs."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from elt_env.errors import SpecError
from elt_env.spec.document import Spec
from elt_env.spec.faults import FaultsError, WrittenError
from elt_env.spec.file import read_spec
from elt_env.spec.foreign.bounds import poetry_bound
from elt_env.spec.foreign.read import is_foreign

_PEP_621 = """\
[project]
name = "acme-elt"
requires-python = ">=3.10, <3.13"
dependencies = [
  "dbt-duckdb>=1.9",
  "pandas<3; python_version < '3.13'",
]
[project.optional-dependencies]
dev = ["pytest"]
[dependency-groups]
docs = ["mkdocs"]
"""
_POETRY = """\
[tool.poetry]
name = "acme-elt"
[tool.poetry.dependencies]
python = "^3.10"
dbt-duckdb = "^1.9"
pandas = {version = "~2.2", extras = ["parquet"], markers = "sys_platform == 'linux'"}
later = [{version = "^1", python = "<3.11"}, {version = "^2", python = ">=3.11"}]
unneeded = {version = "*", optional = true}
[tool.poetry.group.dev.dependencies]
pytest = "*"
"""
_PIPFILE = """\
[[source]]
url = "https://packages.example/simple"
name = "own"
[packages]
dbt-duckdb = "*"
pandas = {version = "<3", extras = ["parquet"]}
[dev-packages]
pytest = "*"
[requires]
python_version = "3.11"
"""
_PIXI = """\
[workspace]
name = "acme-elt"
channels = ["conda-forge", {channel = "https://channels.example/own"}]
platforms = ["linux-64"]
[dependencies]
python = "3.11.*"
openssl = {version = "3.*", build = "h*", channel = "conda-forge"}
[target.linux-64.dependencies]
numpy = ">=1.26,<3"
[pypi-dependencies]
dbt-duckdb = ">=1.9"
pandas = {version = "<3", extras = ["parquet"]}
[feature.dev.dependencies]
pytest = "*"
"""


def _read(place: Path, name: str, text: str) -> Spec:
    (place / name).write_text(text)
    return read_spec(place, name)


def _told(spec: Spec) -> list[tuple[int, str]]:
    return [(each.line, each.problem) for each in spec.warnings]


def test_a_project(tmp_path: Path) -> None:
    spec = _read(tmp_path, "pyproject.toml", _PEP_621)
    assert (spec.source, spec.name, spec.python) == ("pyproject.toml", "acme-elt", ">=3.10,<3.13")
    assert spec.pip == ("dbt-duckdb>=1.9", 'pandas<3; python_version < "3.13"')
    assert _told(spec) == [
        (8, "'optional-dependencies' is left out."),
        (10, "'dependency-groups' is left out."),
    ]


def test_a_project_of_poetry(tmp_path: Path) -> None:
    spec = _read(tmp_path, "pyproject.toml", _POETRY)
    assert (spec.name, spec.python) == ("acme-elt", ">=3.10,<4")
    assert spec.pip == (
        "dbt-duckdb<2,>=1.9",
        'later<2,>=1; python_version < "3.11"',
        'later<3,>=2; python_version >= "3.11"',
        'pandas[parquet]<2.3,>=2.2; sys_platform == "linux"',
    )
    assert _told(spec) == [(9, "'group' is left out.")]


def test_a_pipfile(tmp_path: Path) -> None:
    spec = _read(tmp_path, "Pipfile", _PIPFILE)
    assert (spec.name, spec.python) == ("", "3.11.*")
    assert spec.pip == ("dbt-duckdb", "pandas[parquet]<3")
    assert _told(spec) == [(1, "'source' is left out."), (7, "'dev-packages' is left out.")]


def test_a_workspace_of_pixi(tmp_path: Path) -> None:
    lines = _PIXI.splitlines()
    inner = [f"[tool.pixi.{each[1:]}" if each.startswith("[") else each for each in lines]
    for name, text in (("pixi.toml", _PIXI), ("pyproject.toml", "\n".join(inner))):
        spec = _read(tmp_path, name, text)
        assert (spec.name, spec.python) == ("acme-elt", "3.11.*")
        assert spec.channels == ("conda-forge", "https://channels.example/own")
        assert [str(each) for each in spec.conda][:1] == ["numpy >=1.26,<3"]
        assert [(each.name, each.build) for each in spec.conda][1] == ("openssl", "h*")
        assert spec.pip == ("dbt-duckdb>=1.9", "pandas[parquet]<3")
        assert _told(spec) == [(13, "'feature' is left out.")]


@pytest.mark.parametrize("name", ["requirements.in", "requirements.txt", "own.txt"])
def test_a_requirements_file(tmp_path: Path, name: str) -> None:
    (tmp_path / "base.txt").write_text("pandas<3\n")
    spec = _read(tmp_path, name, "# all of it\ndbt-duckdb>=1.9\n-r base.txt\n")
    assert (spec.source, spec.python, spec.pip) == (name, "", ("dbt-duckdb>=1.9", "pandas<3"))
    with pytest.raises(FaultsError, match=f"{name}, line 2"):
        _read(tmp_path, name, "pandas\nnot a requirement\n")


def test_all_that_is_wrong_is_told_with_its_lines(tmp_path: Path) -> None:
    text = _POETRY.replace('"^1.9"', '"^1.9 || ^2"').replace('"~2.2"', '"~x"')
    text = text.replace("unneeded", '"no name"').replace("optional = true", "")
    with pytest.raises(FaultsError) as caught:
        _read(tmp_path, "pyproject.toml", text.replace(", }", "}"))
    assert [each.line for each in caught.value.faults] == [5, 6, 8]


@pytest.mark.parametrize("name", ["pyproject.toml", "Pipfile", "pixi.toml"])
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, name: str) -> None:
    with pytest.raises(FaultsError, match=f"{name}, line 2: it is not TOML"):
        _read(tmp_path, name, "[a]\nb = \n")


def test_a_project_that_asks_for_nothing(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="asks for nothing"):
        _read(tmp_path, "pyproject.toml", "[tool.ruff]\nline-length = 100\n")


def test_a_list_that_conda_exported_is_both_halves(tmp_path: Path) -> None:
    text = """\
# This file may be used to create an environment using:
# $ conda create --name <env> --file <this file>
# platform: linux-64
python=3.11.5=h955ad1f_0
tzdata=2024a=h04d1e81_0
dbt-duckdb=1.9.1=pypi_0
"""
    spec = _read(tmp_path, "requirements.txt", text)
    assert str(spec.python_spec) == "python ==3.11.5 h955ad1f_0"
    assert [str(each) for each in spec.conda] == ["tzdata ==2024a h04d1e81_0"]
    assert spec.pip == ("dbt-duckdb==1.9.1",)
    with pytest.raises(FaultsError, match=r"requirements.txt, line 5: 'tzdata=='"):
        _read(tmp_path, "requirements.txt", text.replace("=2024a=h04d1e81_0", "=="))


def test_the_pins_of_rye_are_a_spec_and_no_lock(tmp_path: Path) -> None:
    spec = _read(tmp_path, "requirements-dev.lock", "# by rye\nsix==1.16.0\n")
    assert (spec.pip, spec.files) == (("six==1.16.0",), ("requirements-dev.lock",))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("requirements.lock", "six==1 --hash=sha256:0"),
        ("uv.lock", ""),
        ("poetry.lock", ""),
        ("conda-lock.yml", ""),
        ("pylock.dev.toml", ""),
        ("linux.txt", "# made by conda\n@EXPLICIT\n"),
    ],
)
def test_a_lock_is_to_be_adopted(tmp_path: Path, name: str, text: str) -> None:
    assert is_foreign(name)
    with pytest.raises(SpecError, match="is a lock") as caught:
        _read(tmp_path, name, text)
    assert f"elt-env adopt {name} --as" in caught.value.remedy


@pytest.mark.parametrize("name", ["environment.yml", "elt@3.11", "elt", "spec.yaml"])
def test_other_names_are_of_specs_or_targets(name: str) -> None:
    assert not is_foreign(name)


@given(
    st.lists(st.integers(0, 3), min_size=1, max_size=3),
    st.lists(st.integers(0, 4), min_size=1, max_size=3),
    st.sampled_from("^~"),
)
def test_carets_and_tildes_admit_what_poetry_says(
    base: list[int], version: list[int], sign: str
) -> None:
    """A caret keeps the first number that is not 0, a tilde the minor one where there is one."""
    bound = SpecifierSet(poetry_bound(sign + ".".join(map(str, base))))
    asked, found = [*base, 0, 0][:3], [*version, 0, 0][:3]
    first = next((place for place, each in enumerate(base) if each), len(base) - 1)
    kept = first if sign == "^" else min(1, len(base) - 1)
    expected = found >= asked and found[: kept + 1] == asked[: kept + 1]
    assert bound.contains(Version(".".join(map(str, version)))) is expected


@pytest.mark.parametrize(
    ("text", "bound"),
    [
        ("*", ""),
        ("1.2", "==1.2"),
        ("1.2.*", "==1.2.*"),
        (">=1.2, <2", ">=1.2,<2"),
        (">=1.2 <2", ">=1.2,<2"),
        ("~=1.2", "~=1.2"),
        ("^1.2,!=1.4", ">=1.2,<2,!=1.4"),
    ],
)
def test_bounds_of_poetry(text: str, bound: str) -> None:
    assert poetry_bound(text) == bound


@pytest.mark.parametrize("text", ["^x", "~", "1.x", "^1 || ^2"])
def test_what_is_no_bound_of_poetry(text: str) -> None:
    with pytest.raises(WrittenError):
        poetry_bound(text)


@pytest.mark.parametrize("version", ["2.31.0", "==2.31.0"])
def test_a_version_by_itself_is_that_version_alone(tmp_path: Path, version: str) -> None:
    spec = _read(tmp_path, "Pipfile", f'[packages]\nrequests = "{version}"\n')
    assert spec.pip == ("requests==2.31.0",)


def test_pipenv_writes_markers_as_keys(tmp_path: Path) -> None:
    table = "{version = '>=2', sys_platform = \"== 'win32'\", python_version = \"< '3.12'\"}"
    spec = _read(tmp_path, "Pipfile", f"[packages]\npywinusb = {table}\n")
    marker = 'python_version < "3.12" and sys_platform == "win32"'
    (found,) = map(Requirement, spec.pip)
    assert str(found.specifier) == ">=2"
    assert {*str(found.marker).split(" and ")} == {*marker.split(" and ")}


@pytest.mark.parametrize("name", ["Pipfile", "pixi.toml", "pyproject.toml"])
@pytest.mark.parametrize("value", [f"{'[' * 5000}{']' * 5000}", "1" * 6000])
def test_what_no_reader_takes_is_refused(tmp_path: Path, name: str, value: str) -> None:
    with pytest.raises(FaultsError, match=f"{name}: it is (nested too deeply|not TOML)"):
        _read(tmp_path, name, f"a = {value}\n")


_KEYS = (
    *("project", "tool", "poetry", "uv", "pixi", "workspace", "conda-lock", "group", "main"),
    *("dependencies", "packages", "requires", "sources", "python", "extras", "version"),
    *("target", "linux", "activation", "env", "channels", "dependency-groups", "path", "dynamic"),
    *("feature", "environments", "default", "features", "optional-dependencies"),
    *("pypi-dependencies", "constraint-dependencies"),
)
_TABLES = st.recursive(
    st.one_of(st.booleans(), st.integers(0, 9), st.sampled_from(["*", "1.0", ">=2", "x y", "^1"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(
            st.sampled_from(_KEYS),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=_TABLES, name=st.sampled_from(["pyproject.toml", "pixi.toml", "Pipfile"]))
def test_whatever_stands_where_something_else_belongs_is_told(
    tmp_path: Path, content: object, name: str
) -> None:
    if isinstance(content, dict):
        with contextlib.suppress(SpecError):
            _read(tmp_path, name, tomli_w.dumps(content))
