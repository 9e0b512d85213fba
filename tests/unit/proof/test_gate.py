from __future__ import annotations

from typing import Any

import pytest

from elt_env.proof.gate import Requirement
from elt_env.store.evidence import Evidence, Status
from tests.support.locks import MOMENT

_IMAGE, _OTHER = "sha256:" + "1" * 64, "sha256:" + "2" * 64


def said(check: str, status: Status, **more: Any) -> Evidence:
    return Evidence(check, status, MOMENT, 1.0, f"what {check} saw\nand more", **more)


def lacks(requirement: Requirement, *evidence: Evidence) -> list[tuple[str, str]]:
    return [(each.check, each.lack) for each in requirement.lacks(evidence)]


@pytest.mark.parametrize("status", ["passed", "warned"])
def test_what_holds_suffices(status: Status) -> None:
    assert lacks(Requirement(("imports",)), said("imports", status)) == []


def test_what_is_missing_failed_or_did_not_run_is_told_apart() -> None:
    requirement = Requirement(("imports", "pip_check", "isolation"))
    found = requirement.lacks([said("pip_check", "failed"), said("isolation", "not_run")])
    assert [str(each) for each in found] == [
        "imports was not run",
        "pip_check failed: what pip_check saw",
        "isolation could not run: what isolation saw",
    ]
    assert [each.lack for each in found] == ["missing", "failed", "not_run"]


def test_not_run_suffices_only_where_the_policy_accepts_it() -> None:
    requirement = Requirement(("imports", "isolation"), may_not_run=("isolation",))
    evidence = [said("imports", "not_run"), said("isolation", "not_run")]
    assert lacks(requirement, *evidence) == [("imports", "not_run")]


def test_what_may_not_run_may_not_fail_and_has_to_be_tried() -> None:
    requirement = Requirement(("imports", "isolation"), may_not_run=("imports", "isolation"))
    assert lacks(requirement, said("imports", "failed")) == [
        ("imports", "failed"),
        ("isolation", "missing"),
    ]


def test_evidence_on_other_inputs_is_none() -> None:
    now = {"dbt_smoke": {"the check": "1", "project dbt_project": "sha256:1"}}
    requirement = Requirement(("dbt_smoke",), inputs=now)
    assert lacks(requirement, said("dbt_smoke", "passed", inputs=now["dbt_smoke"])) == []

    older = said("dbt_smoke", "passed", inputs={"the check": "1", "project dbt_project": "absent"})
    (lack,) = requirement.lacks([older])
    assert str(lack) == "dbt_smoke was run before project dbt_project changed"
    assert lack.lack == "missing"


def test_evidence_that_does_not_say_what_it_read_is_none() -> None:
    requirement = Requirement(("imports",), inputs={"imports": {"the check": "1"}})
    (lack,) = requirement.lacks([said("imports", "passed")])
    assert str(lack) == "imports was run before the check changed"


def test_evidence_on_an_image_is_about_that_image_alone() -> None:
    requirement = Requirement(("image_runs",), image_checks=("image_runs",), image=_IMAGE)
    assert lacks(requirement, said("image_runs", "passed", image=_IMAGE)) == []
    assert lacks(requirement, said("image_runs", "passed", image=_OTHER)) == [
        ("image_runs", "missing")
    ]
    assert lacks(requirement, said("image_runs", "passed")) == [("image_runs", "missing")]


def test_a_check_that_is_not_required_does_not_matter() -> None:
    assert lacks(Requirement(("imports",)), said("imports", "passed"), said("x", "failed")) == []
