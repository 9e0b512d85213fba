"""How failures reach Dagster: tried again where they may go away, told where they do not."""

import dagster as dg
import pytest

from elt_env.defs import resources
from elt_env.defs.resources import reporting
from elt_env.errors import EltEnvError, IndexUnreachableError, PolicyError


def _attempts(error: EltEnvError) -> tuple[int, str]:
    """Return how often a step is tried that always ends so, and what the run says in the end."""
    tried = []

    @dg.op
    def step(context: dg.OpExecutionContext) -> None:
        tried.append(context.retry_number)
        with reporting(context):
            raise error

    @dg.job
    def work() -> None:
        step()

    result = work.execute_in_process(raise_on_error=False)
    (failed,) = [each for each in result.all_events if each.is_step_failure]
    return len(tried), str(failed.step_failure_data)


def test_what_may_go_away_is_tried_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "_RETRY_SECONDS", 0)
    tries, told = _attempts(IndexUnreachableError("The index does not answer.", "Wait."))
    assert tries == 3
    assert "The index does not answer." in told


def test_what_stays_is_told_at_once() -> None:
    tries, told = _attempts(PolicyError("The policy is wrong.", "Correct it."))
    assert tries == 1
    assert "The policy is wrong." in told
