from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from elt_env.project.own_checks import BUILT_IN_CHECKS, DbtCheck
from elt_env.project.policy import Policy
from elt_env.proof.checks import HEALTH_CHECKS
from elt_env.proof.checks.image import IMAGE_CHECKS


def _policy(**environments: dict[str, Any]) -> Policy:
    return Policy.model_validate(
        {
            "environments": {
                name: {"spec": "e.yml", "pythons": ["3.11"], "checks": checks}
                for name, checks in environments.items()
            }
        }
    )


def test_the_names_of_this_packages_checks_are_all_taken() -> None:
    assert set(BUILT_IN_CHECKS) == {*HEALTH_CHECKS, *IMAGE_CHECKS}


def test_a_check_is_read() -> None:
    table = {
        "kind": "dbt",
        "project": "../analytics",
        "run": "build --target ci --select state:modified+",
        "profiles": "../analytics/ci",
        "environment": ["SNOWFLAKE_PASSWORD"],
        "limit": "20 minutes",
        "blocking": False,
    }
    check = _policy(elt={"analytics": table}).environments["elt"].checks["analytics"]
    assert isinstance(check, DbtCheck)
    assert check.words == ("build", "--target", "ci", "--select", "state:modified+")
    assert check.limit == timedelta(minutes=20)
    assert check.places == {"project": "../analytics", "profiles": "../analytics/ci"}


@pytest.mark.parametrize(
    ("name", "table", "complaint"),
    [
        ("imports", {"kind": "command", "run": "x"}, "a check that every environment has"),
        ("image_runs", {"kind": "command", "run": "x"}, "a check that every environment has"),
        ("build", {"kind": "command", "run": "x"}, "the name of a job that there is"),
        ("a-b", {"kind": "command", "run": "x"}, "is no name for a check"),
        ("a", {"kind": "command", "run": "x 'y"}, "No closing quotation"),
        ("a", {"kind": "command", "run": " "}, "it is empty"),
        ("a", {"kind": "command", "run": "x", "directory": "a"}, "which is not named"),
        ("a", {"kind": "dbt", "project": "a", "directory": "a/../.."}, "leads out of the project"),
        ("a", {"kind": "dbt", "project": "a", "directory": "/a"}, "leads out of the project"),
        ("a", {"kind": "command"}, "Field required"),
        ("a", {"kind": "pytest"}, "Field required"),
        ("a", {"kind": "dbt", "project": ".", "limit": "0"}, "greater than 0"),
        ("a", {"kind": "dbt", "project": ".", "module": "x"}, "Extra inputs"),
        ("a", {"kind": "dagster", "project": ".", "module": "x", "file": "y"}, "keep one"),
        ("a", {"kind": "dbt", "project": ".", "environment": ["A=b"]}, "not the name of a var"),
    ],
)
def test_a_check_that_cannot_be_used_is_refused(
    name: str, table: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValidationError, match=complaint):
        _policy(elt={name: table})


def test_no_name_stands_for_two_things() -> None:
    command = {"kind": "command", "run": "x"}
    with pytest.raises(ValidationError, match="what the check 'a' is called in the image"):
        _policy(elt={"a": {**command, "in_image": True}, "a_in_image": command})
    with pytest.raises(ValidationError, match="both have a job 'elt_next_fast'"):
        _policy(elt={"next_fast": command}, **{"elt-next": {"fast": command}})
    with pytest.raises(ValidationError, match="both have a job 'elt_dbt_smoke'"):
        _policy(elt={}, elt_dbt={"smoke": command})
