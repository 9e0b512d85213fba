from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from elt_env.project.durations import parse_duration
from elt_env.project.policy import EnvironmentPolicy, Policy

_ELT = {"spec": "elt.yml", "pythons": ["3.11"]}


def _policy(**changes: object) -> Policy:
    return Policy.model_validate({"environments": {"elt": _ELT}, **changes})


def _complaint(**changes: object) -> str:
    with pytest.raises(ValidationError) as caught:
        _policy(**changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("3 days", timedelta(days=3)),
        ("1 day", timedelta(days=1)),
        (" 12 hours ", timedelta(hours=12)),
        ("90minutes", timedelta(minutes=90)),
        ("2 weeks", timedelta(days=14)),
        ("0", timedelta(0)),
        ("0 days", timedelta(0)),
        (0, timedelta(0)),
        (timedelta(seconds=5), timedelta(seconds=5)),
    ],
)
def test_a_duration_is_a_number_and_a_unit(text: object, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize(
    "text",
    ["", "3", 3, 3.5, True, None, "3 dys", "days", "-1 days", "1.5 hours", "3 days 2 hours", "P3D",
     "٣ days", "3 months", "3\ndays"],
)  # fmt: skip
def test_what_is_no_duration_is_answered_with_examples(text: object) -> None:
    with pytest.raises(ValueError, match="'3 days', '12 hours' or '0'"):
        parse_duration(text)


@pytest.mark.parametrize("text", ["36526 days", "9" * 30 + " weeks"])
def test_a_duration_that_no_calendar_holds_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="century"):
        parse_duration(text)


@given(st.text() | st.integers() | st.floats())
def test_nothing_ends_in_anything_but_a_value_error(value: object) -> None:
    try:
        duration = parse_duration(value)
    except ValueError:
        return
    assert timedelta(0) <= duration <= timedelta(days=36525)


def test_the_defaults_are_careful() -> None:
    policy = _policy()
    assert policy.cooldown == timedelta(days=3)
    assert policy.wheels_only
    assert policy.channel_fallback == "none"
    assert policy.environments["elt"] == EnvironmentPolicy(
        spec="elt.yml", pythons=("3.11",), python="conda", resolver="uv", installer="uv"
    )


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"cooldwn": "3 days"}, "cooldwn"),
        ({"cooldown": "soon"}, "cooldown"),
        ({"home": ""}, "home"),
        ({"tool_limit": "0"}, "tool_limit"),
        ({"channel_fallback": "hosts"}, "'host' or 'none'"),
        ({"allow_sdist": "py-spy"}, "allow_sdist"),
        ({"environments": {}}, "environments"),
        ({"environments": {"Elt": _ELT}}, "'Elt' is not a name"),
        ({"environments": {"a/b": _ELT}}, "'a/b' is not a name"),
        ({"environments": {"": _ELT}}, "'' is not a name"),
        ({"environments": {"a-b": _ELT, "a_b": _ELT}}, "'a-b' and 'a_b' cannot be told apart"),
        ({"environments": {"elt": {"spec": "elt.yml"}}}, "environments.elt.pythons"),
        ({"environments": {"elt": {**_ELT, "pythons": []}}}, "at least 1 item"),
        ({"environments": {"elt": {**_ELT, "pythons": ["3.11.7"]}}}, "'3.11.7' is not a Python"),
        ({"environments": {"elt": {**_ELT, "pythons": ["2.7"]}}}, "'2.7' is not a Python"),
        ({"environments": {"elt": {**_ELT, "pythons": ["3.1\u0661"]}}}, "is not a Python minor"),
        ({"environments": {"elt": {**_ELT, "pythons": [3.11]}}}, "environments.elt.pythons.0"),
        ({"environments": {"elt": {**_ELT, "owners": ["data"]}}}, "'data' is no owner"),
        ({"environments": {"elt": {**_ELT, "installer": "conda"}}}, "'uv' or 'pip'"),
        ({"environments": {"elt": {**_ELT, "python": ["3.11"]}}}, "environments.elt.python"),
    ],
)
def test_a_key_or_value_that_cannot_be_used_is_named(
    changes: dict[str, Any], complaint: str
) -> None:
    assert complaint in _complaint(**changes)


def test_a_policy_does_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        _policy().home = "elsewhere"  # type: ignore[misc]  # mypy knows it, too


def test_every_key_says_what_it_is() -> None:
    for model in (Policy, EnvironmentPolicy):
        assert all(each.description for each in model.model_fields.values())
