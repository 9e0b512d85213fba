from __future__ import annotations

import re
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.package.target import ENVIRONMENT, environment_name


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("elt", "/x/environment.yml", "elt"),
        ("My Team's ELT (v2)", "/x/environment.yml", "my-team-s-elt-v2"),
        ("", "/x/my.course/environment.yml", "my-course"),
        ("", "/x/env.yaml", "x"),
        ("", "/x/Dev.conda.yml", "dev"),
        ("日本", "/x/analytics_2.yml", "analytics_2"),
        ("", "/environment.yml", "environment"),
        ("--", "/__/conda.yml", "environment"),
    ],
)
def test_the_file_says_how_an_environment_is_called(name: str, path: str, expected: str) -> None:
    assert environment_name(name, PurePosixPath(path)) == expected


@given(st.text(), st.text())
def test_whatever_it_says_becomes_a_name(name: str, stem: str) -> None:
    found = environment_name(name, PurePosixPath(f"/x/{stem}.yml"))
    assert re.fullmatch(ENVIRONMENT, found)
