"""Several files are one spec."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.spec.document import Spec
from elt_env.spec.environment_yml import parse_spec
from elt_env.spec.faults import FaultsError
from elt_env.spec.file import read_spec
from elt_env.spec.merge import merge

_ONE = """\
name: elt
channels: [conda-forge]
dependencies:
- python >=3.10
- numpy >=1.24
- pip: [dbt-duckdb>=1.8, "--extra-index-url https://one.example/simple"]
variables: {A: "1"}
"""
_OTHER = """\
name: other
channels: [own, conda-forge]
dependencies:
- python <3.13
- numpy <2
- sqlite
- pip: [dbt-duckdb<2, httpx, "--pre"]
variables: {B: "2"}
"""


def _spec(text: str, source: str = "one.yml") -> Spec:
    return parse_spec(text, source)


def test_both_count() -> None:
    spec = merge(_spec(_ONE), _spec(_OTHER, "other.yml"))
    assert (spec.name, spec.source, spec.files) == ("elt", "one.yml", ("other.yml",))
    assert spec.channels == ("conda-forge", "own")
    assert spec.python == ">=3.10,<3.13"
    assert [str(each) for each in spec.conda] == ["numpy >=1.24,<2", "sqlite"]
    assert spec.pip == ("dbt-duckdb<2,>=1.8", "httpx")
    assert spec.variables == (("A", "1"), ("B", "2"))
    assert spec.pip_options.pre
    assert spec.pip_options.extra_index_urls == ("https://one.example/simple",)


def test_all_contradictions_are_said_at_once() -> None:
    text = 'dependencies: ["python >=3.13", "numpy <1", {pip: ["dbt-duckdb<1"]}]\n'
    text += 'variables: {A: "2"}\n'
    one = _spec(_ONE.replace("python >=3.10", "python <3.12"))
    with pytest.raises(FaultsError) as caught:
        merge(one, _spec(text, "two.yml"))
    assert {each.source for each in caught.value.faults} == {"two.yml"}
    said = str(caught.value)
    for part in ("'python'", "'numpy'", "no version of dbt-duckdb", "the variable A"):
        assert part in said
    assert "in one.yml and here" in said


_LINES = st.lists(
    st.sampled_from(["a >=1", "a <4", "b", "b ==2", "c 1.*", "d >=2,<3"]), unique=True, max_size=6
)


@given(_LINES, _LINES)
def test_it_is_what_one_file_with_all_lines_says(one: list[str], other: list[str]) -> None:
    def text(lines: list[str]) -> str:
        return f"dependencies: {['python', *lines]!r}\n"

    joined = merge(_spec(text(one)), _spec(text(other)))
    assert joined.digest == _spec(text([*one, *other])).digest


def test_a_file_of_another_tool_beside_a_conda_one(tmp_path: Path) -> None:
    (tmp_path / "one.yml").write_text(_ONE)
    (tmp_path / "pyproject.toml").write_text('[project]\ndependencies = ["dagster"]\n')
    spec = merge(read_spec(tmp_path, "one.yml"), read_spec(tmp_path, "pyproject.toml"))
    assert spec.pip == ("dagster", "dbt-duckdb>=1.8")
    assert spec.files == ("pyproject.toml",)
