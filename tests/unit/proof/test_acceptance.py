"""What a person is told who wants a release in spite of a check."""

from __future__ import annotations

from typing import Any

import pytest

from elt_env.lockfile.document import HeldBack
from elt_env.project.own_checks import CommandCheck
from elt_env.project.policy import EnvironmentPolicy
from elt_env.proof.acceptance import to_mend, ways_to_accept
from elt_env.proof.checks import CHECKS
from elt_env.store.evidence import Evidence, Table
from tests.support.locks import MOMENT, lock_of, pip_package, python_package

_NOT = {"pip_check", "binary_abi"}
_LOCK = lock_of(python_package(), pip_package("six"))


def policy(**more: Any) -> EnvironmentPolicy:
    return EnvironmentPolicy(spec="elt.yml", pythons=("3.11",), **more)


def failed(check: str, detail: str = "no", **more: Any) -> Evidence:
    return Evidence(check, "failed", MOMENT, 1.0, detail, **more)


def test_what_failed_and_is_old_is_said_to_be_held_back() -> None:
    held = HeldBack("tool", "0.7", "0.26", "tool 0.26 needs rate, of which no index has a wheel")
    lock = lock_of(python_package(), held_back=(held, HeldBack("other", "1.0", "2.0")))
    first, *_ = ways_to_accept([failed("imports", "tool.cli of tool 0.7: no")], policy(), lock)
    assert first == str(held)
    assert "0.26" not in " ".join(ways_to_accept([failed("imports")], policy(), lock))


def test_modules_are_allowed_by_name() -> None:
    table = Table(
        "modules", ("module", "distribution", "fault"), (("a.b", "a", "x"), ("c", "c", "y"))
    )
    (way,) = ways_to_accept([failed("imports", table=table)], policy(), _LOCK)
    assert 'imports-allow = ["a.b", "c"] in [tool.elt-env.environments.elt]' in way
    assert "better not" in way


def test_files_of_several_are_let_through_again() -> None:
    evidence = failed("mixed_managers", counts={"shared_files": 1})
    (way,) = ways_to_accept([evidence], policy(shared_files="refuse"), _LOCK)
    assert 'shared-files = "warn"' in way
    # Where the files are not why it failed, no such key helps.
    (way,) = ways_to_accept([failed("mixed_managers")], policy(shared_files="refuse"), _LOCK)
    assert "required-checks" in way


def test_an_own_check_no_longer_blocks() -> None:
    own = policy(checks={"team": CommandCheck(kind="command", run="true", project=".")})
    (way,) = ways_to_accept([failed("team")], own, _LOCK)
    assert "blocking = false in [tool.elt-env.environments.elt.checks.team]" in way
    assert to_mend([failed("team")], own) == "Change your own project, or the spec,"
    assert to_mend([failed("team"), failed("imports")], own) == "Change the spec"


def test_any_other_check_is_left_out_of_the_required_ones() -> None:
    (way,) = ways_to_accept([failed(each) for each in sorted(_NOT)], policy(), _LOCK)
    left = [f'"{each}"' for each in CHECKS if each not in _NOT and "smoke" not in each]
    assert f"required-checks = [{', '.join(left)}]" in way


@pytest.mark.parametrize("check", ["reproducible", "image_runs"])
def test_what_holds_nothing_back_or_is_of_an_image_has_no_way(check: str) -> None:
    assert ways_to_accept([failed(check)], policy(), _LOCK) == []


def test_a_check_that_is_not_required_holds_nothing_back() -> None:
    assert ways_to_accept([failed("dbt_smoke")], policy(required_checks=("imports",)), _LOCK) == []
