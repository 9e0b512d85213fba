"""What a workspace of pixi says of platforms, activation and sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.spec.document import Spec
from elt_env.spec.faults import FaultsError
from elt_env.spec.file import read_spec

_HEAD = '[workspace]\nchannels = ["conda-forge", {channel = "own", priority = 1}]\n'


def test_tables_of_this_platform_count_the_nearest_first(tmp_path: Path) -> None:
    (tmp_path / "pixi.toml").write_text(
        _HEAD
        + """\
[dependencies]
a = "1.*"
b = "1.*"
[host-dependencies]
h = "1.*"
[target.unix.dependencies]
a = "2.*"
[target.linux.dependencies]
a = "3.*"
c = "1.*"
[target.win.dependencies]
d = "1.*"
[target.linux.pypi-dependencies]
dbt-duckdb = "*"
[activation.env]
FOO = "one"
PATH = "$HOME/bin:$PATH"
[target.linux.activation.env]
FOO = "two"
"""
    )
    spec = read_spec(tmp_path, "pixi.toml")
    assert spec.channels == ("own", "conda-forge")
    asked = {each.name: each.version for each in spec.conda}
    assert asked == {"a": "3.*", "b": "1.*", "c": "1.*", "h": "1.*"}
    assert spec.pip == ("dbt-duckdb",)
    assert spec.variables == (("FOO", "two"),)
    assert [(each.line, each.problem) for each in spec.warnings] == [(19, "'PATH' is left out.")]


def test_a_package_that_pixi_builds_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pixi.toml").write_text(_HEAD + '[dependencies]\nown = {path = "own"}\n')
    with pytest.raises(FaultsError, match=r"pixi.toml, line 4: 'own' is built from its source"):
        read_spec(tmp_path, "pixi.toml")


_FEATURES = """\
[dependencies]
python = ">=3.10"
[feature.py311.dependencies]
python = "3.11.*"
[feature.gpu]
channels = ["nvidia", "conda-forge"]
[feature.gpu.dependencies]
cuda-version = "12.*"
[feature.gpu.pypi-dependencies]
onnxruntime-gpu = "*"
[feature.cpu.dependencies]
onnxruntime = "*"
[environments]
"""


def _asked(place: Path, text: str, name: str = "pixi.toml") -> tuple[Spec, list[tuple[int, str]]]:
    (place / name).write_text(text)
    spec = read_spec(place, name)
    return spec, [(each.line, each.problem) for each in spec.warnings]


@pytest.mark.parametrize(
    "default", ['["py311", "gpu"]', '{features = ["py311", "gpu"], solve-group = "it"}']
)
def test_the_default_environment_has_its_features(tmp_path: Path, default: str) -> None:
    spec, told = _asked(tmp_path, f"{_HEAD}{_FEATURES}default = {default}\ncpu = ['cpu']\n")
    assert spec.python == "3.11.*,>=3.10"
    assert [str(each) for each in spec.conda] == ["cuda-version 12.*"]
    assert spec.pip == ("onnxruntime-gpu",)
    assert spec.channels == ("own", "conda-forge", "nvidia")
    assert told == [(5, "'feature' is left out."), (15, "'environments' is left out.")]


def test_an_environment_without_the_default_feature(tmp_path: Path) -> None:
    asked = 'default = {features = ["cpu"], no-default-feature = true}\n'
    spec, _ = _asked(tmp_path, _HEAD + _FEATURES + asked)
    assert (spec.python, [each.name for each in spec.conda]) == ("", ["onnxruntime"])


def test_an_environment_with_tables_of_its_own(tmp_path: Path) -> None:
    own = "[environments.default.dependencies]\nnumpy = '>=2'\n"
    spec, _ = _asked(tmp_path, _HEAD + "[dependencies]\npandas = '*'\n" + own)
    assert [str(each) for each in spec.conda] == ["numpy >=2", "pandas"]


_PROJECT = """\
[project]
name = "acme-elt"
requires-python = ">= 3.11"
dependencies = ["dbt-duckdb>=1.8"]
[project.optional-dependencies]
s3 = ["s3fs"]
[dependency-groups]
test = ["pytest>=8"]
[tool.pixi.workspace]
channels = ["conda-forge"]
[tool.pixi.environments]
default = ["test", "s3"]
[tool.pixi.pypi-dependencies]
acme_elt = {path = ".", editable = true}
torch = {version = ">=2", index = "https://packages.example/cpu"}
"""


def test_the_project_itself_is_not_installed(tmp_path: Path) -> None:
    spec, told = _asked(tmp_path, _PROJECT, "pyproject.toml")
    assert spec.python == ">=3.11"
    assert spec.pip == ("dbt-duckdb>=1.8", "pytest>=8", "s3fs", "torch>=2")
    assert told == [
        (15, "'index' of 'torch' is left out."),
        (14, "'acme_elt' in . is not installed; what it asks for is."),
    ]


def test_a_python_in_a_table_counts_and_not_that_of_the_project(tmp_path: Path) -> None:
    table = "[tool.pixi.dependencies]\npython = '3.12.*'\n"
    assert _asked(tmp_path, _PROJECT + table, "pyproject.toml")[0].python == "3.12.*"


def test_a_workspace_beside_its_project_asks_for_what_that_asks_for(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(_PROJECT.partition("[tool")[0])
    own = "[pypi-dependencies]\nacme-elt = {path = '.', extras = ['s3']}\n"
    spec, told = _asked(tmp_path, _HEAD + own)
    assert (spec.pip, spec.files) == (("dbt-duckdb>=1.8",), ("pyproject.toml",))
    left_out = "'acme-elt' in . is not installed; what it asks for is, without its extras s3."
    assert told == [(4, left_out)]


def test_all_that_a_table_says_of_a_conda_package_counts_or_is_told(tmp_path: Path) -> None:
    table = '{version = ">=1", build-number = ">=2", subdir = "noarch", file-name = "a.conda"}'
    spec, told = _asked(tmp_path, f"{_HEAD}[dependencies]\na = {table}\n")
    assert [str(each) for each in spec.conda] == ['a >=1[build_number=">=2",subdir="noarch"]']
    assert told == [(4, "'file-name' of 'a' is left out.")]
