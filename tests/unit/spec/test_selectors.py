"""Selectors behind requirements keep what is for other platforms out of a spec."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.spec.environment_yml import parse_spec
from elt_env.spec.selectors import excluding_selector

_NAMES = {"linux": True, "linux64": True, "unix": True, "win": False, "osx": False, "arm64": False}


@given(
    st.recursive(
        st.sampled_from(sorted(_NAMES)),
        lambda inner: st.one_of(
            inner.map("not ({})".format),
            st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(
                lambda each: f"({' '.join(each)})"
            ),
        ),
        max_leaves=5,
    ).filter(lambda each: len(each) <= 80)
)
def test_a_selector_is_what_python_says(expression: str) -> None:
    holds = eval(expression, {}, dict(_NAMES))  # noqa: S307  # of the names above alone
    assert (excluding_selector(f"  - a  # [{expression}]") == "") is holds


@pytest.mark.parametrize(
    "comment", ["", "# why", "# [optional]", "# see [win] there", "# [win", "# []", "# [win.x]"]
)
def test_other_comments_select_nothing(comment: str) -> None:
    assert excluding_selector(f"  - a  {comment}") == ""


def test_what_is_for_other_platforms_is_left_out_and_told() -> None:
    spec = parse_spec(
        "dependencies:\n- python=3.11\n- pywin32  # [win]\n- numpy  # [not win]\n"
        "- pip:\n  - uvloop  # [linux]\n  - colorama  # [win or osx]\n",
        "environment.yml",
    )
    assert [each.name for each in spec.conda] == ["numpy"]
    assert spec.pip == ("uvloop",)
    assert [(each.line, each.problem) for each in spec.warnings] == [
        (3, "'pywin32' is left out: [win] is not this platform."),
        (7, "'colorama' is left out: [win or osx] is not this platform."),
    ]
