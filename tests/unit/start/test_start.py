"""The files that `elt-env init` writes say what they should, in forms that their readers take."""

from __future__ import annotations

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.spec.environment_yml import parse_spec
from elt_env.start.files import TOOLS, DbtProject, Start, policy_text, spec_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=20)


def test_a_spec_is_read_back_as_what_was_asked_for() -> None:
    spec = parse_spec(spec_text("elt", ">=3.11,<3.14", TOOLS), "environment.yml")
    assert (spec.name, spec.python, spec.channels) == ("elt", ">=3.11,<3.14", ("conda-forge",))
    assert spec.pip == tuple(sorted(TOOLS))


def test_a_spec_may_leave_python_open() -> None:
    assert parse_spec(spec_text("elt", "", TOOLS), "environment.yml").python == ""


@given(spec=_TEXTS, variables=st.lists(_TEXTS, max_size=3))
def test_whatever_a_policy_says_is_read_back(spec: str, variables: list[str]) -> None:
    dbt = DbtProject("shop", "dbt-duckdb", has_profile=True, variables=tuple(variables))
    start = Start("elt", ("3.11", "3.12"), spec, promote=False, dbt=dbt)
    table = tomllib.loads(policy_text(start))["tool"]["elt-env"]
    environment = table["environments"]["elt"]
    assert table["channel-fallback"] == "host"
    assert environment["spec"] == spec
    assert environment["pythons"] == ["3.11", "3.12"]
    assert environment["promote"] == "manual"
    assert environment["checks"]["shop"].get("environment", []) == variables


@pytest.mark.parametrize(
    "dbt", [None, DbtProject("shop", "dbt-duckdb", has_profile=False)], ids=["none", "no profile"]
)
def test_a_project_that_cannot_be_run_anywhere_is_no_check(dbt: DbtProject | None) -> None:
    assert "checks" not in policy_text(Start("elt", ("3.11",), "environment.yml", dbt=dbt))
