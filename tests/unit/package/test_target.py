from __future__ import annotations

import pytest

from elt_env.errors import PolicyError
from elt_env.package.platform import this_platform
from elt_env.package.target import Target, names_target, parse_target


@pytest.mark.parametrize("environment", ["elt", "dbt-only", "0_a"])
def test_a_target_reads_what_it_writes(environment: str) -> None:
    target = Target(environment, "3.12", "linux-64")
    assert parse_target(target.name, "linux-64") == target


def test_a_target_has_a_short_and_a_long_form() -> None:
    target = parse_target("elt@3.11", this_platform())
    assert (target.name, str(target)) == ("elt@3.11", f"elt@3.11/{this_platform()}")
    assert not target.is_foreign


def test_a_target_of_another_platform_has_the_long_form_alone() -> None:
    target = parse_target("elt@3.11/osx-64", "")
    assert target == Target("elt", "3.11", "osx-64")
    assert target.name == str(target) == "elt@3.11/osx-64"
    assert target.is_foreign
    assert parse_target(target.name, this_platform()) == target
    assert names_target(target.name)
    assert not names_target("elt@3.11")
    assert not names_target("elt@3.11/spec")


@pytest.mark.parametrize(
    "text",
    ["", "elt", "elt@", "@3.11", "elt@3", "elt@4.1", "elt@3.11.7", "elt@3.011", "elt@3.1\u0661",
     "Elt@3.11", "-elt@3.11", "a/b@3.11", "elt@3.11\n", "elt@3.11/linux", "elt@3.11/a/b"],
)  # fmt: skip
def test_what_is_no_target_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(PolicyError) as caught:
        parse_target(text, "linux-64")
    assert f"'{text}'" in caught.value.problem
    assert "elt@3.11" in caught.value.remedy
    assert caught.value.exit_code == 2
