"""What is said of the tools that ran in an image."""

from __future__ import annotations

import importlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from elt_env.errors import ProofError
from elt_env.proof.checks.finding import Finding

module = importlib.import_module("elt_env.proof.checks.image_runs")
_BENCH = cast("Any", SimpleNamespace(sandbox=SimpleNamespace(name="a sandbox")))


def test_nothing_is_said_to_be_validated_without_a_manifest() -> None:
    said = {"dbt": Finding("passed", "1 node"), "dagster": False}
    with pytest.raises(ProofError, match=r"left no manifest\.json"):
        module._told(_BENCH, said)


def test_a_build_that_failed_says_why_there_is_no_manifest() -> None:
    failed = Finding("failed", "dbt says why")
    assert module._told(_BENCH, {"dbt": failed, "dagster": False}) is failed


def test_what_ran_and_what_is_not_there_is_named() -> None:
    found = module._told(_BENCH, {"dbt": Finding("passed", "1 node"), "dagster": True})
    assert found.detail == (
        "with a sandbox: python, dbt build (1 node), dagster definitions validate; "
        "not there: meltano"
    )
