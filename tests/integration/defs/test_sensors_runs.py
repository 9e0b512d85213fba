"""What a sensor makes of the runs that it, or something else, has asked for."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError
from typing import Any

import dagster as dg
import pytest

from elt_env.defs import resources
from elt_env.defs.run_tags import LOCK, TRIGGER, UPGRADE
from elt_env.defs.sensors import walk
from elt_env.lock.candidate import Candidate, find_candidate
from elt_env.store.evidence import Evidence, Status
from elt_env.watch import decide
from tests.support.locking import LONG_AGO, Scene
from tests.support.project import toolbox_of
from tests.support.watching import PYPI, SPEC, Watched, order, versions, watched


def _run(
    tools: Watched, status: dg.DagsterRunStatus, request: dg.RunRequest | None = None
) -> dg.DagsterRun:
    """Return a run that came to that status without doing anything."""
    job = tools.definitions.resolve_job_def("elt_build")
    tags = {"dagster/partition": "3.11"}
    if request is not None:
        tags |= {**request.tags, "dagster/run_key": str(request.run_key)}
    return tools.instance.create_run_for_job(job, tags=tags, status=status)


def test_two_sensors_and_the_schedule_at_once_make_one_run(tools: Watched) -> None:
    tools.scene.offer_pip("part", "1.1")
    tools.edit(pip=["tool<2", "part"])
    request = tools.tick(SPEC).request
    for seen in (tools.tick(PYPI), tools.schedule()):
        assert not seen.requests
        assert seen.skipped == "elt@3.11: spec_sensor has just asked for a run"

    run = _run(tools, dg.DagsterRunStatus.STARTED, request)
    tools.instance.report_engine_event("at work", run)
    for seen in (tools.tick(SPEC), tools.tick(PYPI), tools.schedule()):
        assert not seen.requests
        assert f"run {run.run_id[:8]} (elt_build) is under way" in seen.skipped


def test_candidates_of_two_sensors_never_make_two_locks(tools: Watched) -> None:
    tools.scene.offer_pip("part", "1.1")
    one = tools.tick().request
    tools.edit(pip=["tool<2", "part"])
    assert tools.run(order("elt_build")).success
    made = tools.lock
    assert made.digest != one.run_key
    assert tools.run(one).success  # leaves its candidate aside, and upgrades from the new lock
    assert versions(tools.lock) == {"part": "1.1", "tool": "1.0"}
    assert tools.lock.requirements == made.requirements


def test_what_failed_its_proofs_is_not_tried_again_until_something_changes(
    tools: Watched,
) -> None:
    before = tools.lock
    tools.scene.offer_pip("part", "1.1")
    request = tools.tick().request
    _record(tools, str(request.run_key), "console_scripts", "failed")  # it does not block
    _record(tools, str(request.run_key), "imports", "failed")
    _run(tools, dg.DagsterRunStatus.FAILURE, request)
    told = "the lock for part 1.0 → 1.1 failed imports; it is not tried again until something"
    assert told in tools.tick().skipped
    assert told in tools.tick().skipped
    # Nor by a sensor that remembers nothing.
    tools.cursors.clear()
    assert "for part 1.0 → 1.1 failed imports before" in tools.tick().skipped
    assert tools.lock.digest == before.digest

    tools.scene.offer_pip("part", "1.2")
    assert tools.tick().request.tags[TRIGGER] == "part 1.0 → 1.2"


def _record(tools: Watched, digest: str, check: str, status: Status) -> None:
    evidence = Evidence(check, status, LONG_AGO, 1.0, "")
    toolbox_of(tools.project).store.record(digest, evidence)


def test_a_run_that_was_lost_is_asked_for_three_times(tools: Watched) -> None:
    tools.scene.offer_pip("part", "1.1")
    keys = []
    for _ in range(3):
        request = tools.tick().request
        keys.append(request.run_key)
        _run(tools, dg.DagsterRunStatus.FAILURE, request)
    digest = keys[0]
    assert keys == [digest, f"{digest} try 2", f"{digest} try 3"]
    assert "after 3 tries; it is not tried again" in tools.tick().skipped


def test_a_run_that_a_person_ended_is_not_asked_for_again(tools: Watched) -> None:
    tools.scene.offer_pip("part", "1.1")
    _run(tools, dg.DagsterRunStatus.CANCELED, tools.tick().request)
    assert "was cancelled; it is not tried again" in tools.tick().skipped


def test_a_run_that_was_not_heard_of_for_hours_is_dead(
    tools: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools.scene.offer_pip("part", "1.1")
    request = tools.tick().request
    run = _run(tools, dg.DagsterRunStatus.STARTED, request)
    tools.instance.report_engine_event("at work", run)
    assert "is under way" in tools.tick().skipped
    now = time.time()
    monkeypatch.setattr(time, "time", lambda: now + 3 * 3600)
    assert tools.tick().request.run_key == f"{request.run_key} try 2"


def test_a_run_that_failed_is_asked_for_again_where_that_may_go_away(
    tools: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "_RETRIES", 0)
    index = tools.scene.index
    tools.scene.offer_pip("part", "1.1")
    request = tools.tick().request
    index.fault = "500"
    assert not tools.run(request, lock=None).success
    index.fault = None
    again = tools.tick().request
    assert again.run_key == f"{request.run_key} try 2"

    assert not tools.run(again, lock=None, upgrade="nothing-of-that-name").success
    told = "failed: 'nothing-of-that-name' is not in the lock of elt@3.11.; it is not tried again"
    assert told in tools.tick().skipped


def test_a_lock_that_takes_too_long_is_left_to_a_run(
    tools: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object, **__: object) -> None:
        raise CancelledError

    monkeypatch.setattr(decide, "find_candidate", slow)
    tools.scene.offer_pip("part", "1.1")
    request = tools.tick().request
    assert LOCK not in request.tags
    assert (request.tags[UPGRADE], request.tags[TRIGGER]) == ("part", "part 1.0 → 1.1")
    assert tools.run(request).success
    assert versions(tools.lock)["part"] == "1.1"
    assert not tools.tick().requests


def test_what_a_tick_has_no_time_for_comes_first_in_the_next(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_one(*given: Any, **options: Any) -> Candidate | None:
        monkeypatch.setattr(decide, "_TO_RESOLVE", 1e9)
        return find_candidate(*given, **options)

    monkeypatch.setattr(decide, "find_candidate", find_one)
    scene.offer_pip("tool", "1.0")
    with watched(scene, pip=["tool"], pythons=("3.11", "3.12")) as tools:
        scene.offer_pip("tool", "1.1")
        seen = tools.tick()
        assert seen.request.partition_key == "3.11"
        assert seen.cursor["late"] == ["elt@3.12"]
        monkeypatch.setattr(decide, "_TO_RESOLVE", 20.0)
        assert [each.partition_key for each in tools.tick().requests] == ["3.12", "3.11"]
        monkeypatch.setattr(walk, "_SECONDS", 0.0)
        skipped = tools.tick().skipped
        assert skipped.count("no time left in this tick, the next one begins here") == 2


def test_a_damaged_cursor_starts_anew_and_says_so(calm: Watched) -> None:
    calm.cursors[PYPI] = "{"
    assert calm.tick().skipped.startswith("the cursor could not be read, starting anew\nelt@3.11")
    assert calm.tick().skipped.startswith("elt@3.11")
