"""What a look at a Python means, beside what was known before."""

from __future__ import annotations

from datetime import timedelta

import pytest

from elt_env.watch.readiness import Blocker, Look, Readiness, Verdict, in_order, judge
from tests.support.locks import MOMENT

LATER = MOMENT + timedelta(days=7)
BOUND = Blocker("declared bound", ("tool 1.0", "python <3.13"), "tool is for others")
MISSING = Blocker("interpreter missing", ("python 3.13",), "none here")
READY = Look("proven", lock="sha256:1", python_version="3.13.1")


def judged(look: Look, before: Readiness | None = None) -> Readiness:
    return judge(before, "elt", "3.13", look, LATER if before else MOMENT)


@pytest.mark.parametrize(
    ("look", "verdict"),
    [
        (READY, "ready"),
        (Look("installed"), "unknown"),
        (Look("proven", doubt="the index does not answer"), "unknown"),
        (Look("proven", (BOUND,)), "not ready"),
        (Look(None, (BOUND,), doubt="and more"), "not ready"),
        (Look(None, (MISSING,)), "unknown"),
        (Look(None, (MISSING, BOUND)), "not ready"),
    ],
)
def test_the_verdict_of_a_look(look: Look, verdict: Verdict) -> None:
    assert look.verdict == verdict
    assert judged(look).verdict == verdict


def test_since_stays_while_nothing_changes() -> None:
    again = judged(READY, judged(READY))
    assert (again.since, again.at) == (MOMENT, LATER)


def test_another_version_is_the_same_blocker() -> None:
    newer = Blocker("declared bound", ("tool 1.1", "python <3.13,>=3.9"), "still")
    again = judged(Look("proven", (newer,)), judged(Look("proven", (BOUND,))))
    assert (again.since, again.blocked_by) == (MOMENT, (newer,))


def test_another_blocker_or_verdict_counts_from_now() -> None:
    other = Blocker("missing wheel", ("tool 1.0",), "")
    before = judged(Look("proven", (BOUND,)))
    assert judged(Look("proven", (other,)), before).since == LATER
    assert judged(Look("proven", (BOUND, other)), before).since == LATER
    assert judged(READY, before).since == LATER


def test_a_look_without_a_verdict_leaves_the_one_before() -> None:
    before = judged(READY)
    doubtful = judged(Look(doubt="the index does not answer"), before)
    assert (doubtful.verdict, doubtful.since, doubtful.lock) == ("ready", MOMENT, "sha256:1")
    assert (doubtful.at, doubtful.doubt) == (LATER, "the index does not answer")
    cleared = judged(READY, doubtful)
    assert (cleared.since, cleared.doubt) == (MOMENT, "")


def test_the_first_look_may_stay_without_a_verdict() -> None:
    first = judged(Look(doubt="the index does not answer"))
    assert (first.verdict, first.doubt) == ("unknown", "the index does not answer")
    assert judged(READY, first).since == LATER


def test_the_json_of_it() -> None:
    assert judged(Look("proven", (BOUND,), "sha256:1", "3.13.1")).to_json() == {
        "target": "elt@3.13",
        "python": "3.13",
        "python_version": "3.13.1",
        "verdict": "not ready",
        "reached": "proven",
        "blocked_by": [
            {
                "kind": "declared bound",
                "chain": ["tool 1.0", "python <3.13"],
                "text": "tool is for others",
            }
        ],
        "since": MOMENT.isoformat(),
        "at": MOMENT.isoformat(),
        "lock": "sha256:1",
        "doubt": "",
        "end_of_life": "2029-10-31",
    }


def test_minors_are_numbers() -> None:
    assert in_order({"3.9", "3.11", "3.10"}) == ("3.9", "3.10", "3.11")
