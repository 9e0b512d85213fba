"""Popular stacks that nobody wrote a policy for; `make stacks` builds all of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.stacks import STACKS, build_stack

# On one worker: they share what was downloaded.
pytestmark = [
    pytest.mark.registry,
    pytest.mark.slow,
    pytest.mark.xdist_group("stacks"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("stacks")
    yield path
    shutil.rmtree(path)


@pytest.mark.parametrize("name", ["dbt-sqlite", "meltano", "dlt", "dagster-postgres"])
def test_a_stack_is_released_or_refused_with_the_reason_that_is_known(
    name: str, root: Path
) -> None:
    outcome = build_stack(STACKS[name], root, root / "home")
    assert outcome.expected, outcome.reason or outcome.said
    # Of modules that want what is optional one is warned; what is not in the lock is not run.
    healthy = {"passed", "not_run"} | ({"failed"} if STACKS[name].refused else set())
    assert outcome.checks.pop("imports") in {"passed", "warned"}, outcome.said
    assert {*outcome.checks.values()} <= healthy, outcome.said
