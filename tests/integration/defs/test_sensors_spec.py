"""The sensor of the spec, and the schedule."""

from __future__ import annotations

import pytest

from elt_env.defs.run_tags import TRIGGER
from elt_env.defs.schedules import relock_schedules
from elt_env.errors import PolicyError
from tests.support.locking import Scene
from tests.support.watching import SPEC, Watched, order, versions, watched


def test_an_edited_spec_leads_to_one_run_and_a_lock_that_satisfies(tools: Watched) -> None:
    assert tools.tick(SPEC).skipped == "elt@3.11: the lock satisfies the spec and the policy"
    tools.scene.offer_pip("part", "0.9")
    tools.edit(pip=["tool<2", "part<1"])
    request = tools.tick(SPEC).request
    assert request.tags[TRIGGER] == "pip: part<1 is new in the spec"
    assert tools.run(request).success
    assert versions(tools.lock) == {"part": "0.9", "tool": "1.0"}
    assert tools.tick(SPEC).skipped == "elt@3.11: the lock satisfies the spec and the policy"


def test_an_edit_that_has_no_solution_is_tried_once(tools: Watched) -> None:
    before = tools.lock.digest
    tools.edit(pip=["tool>5"])
    request = tools.tick(SPEC).request
    assert not tools.run(request).success
    for _ in range(2):
        skipped = tools.tick(SPEC).skipped
        assert "it is not tried again until something changes" in skipped
        assert "tool 1.0 is locked, the spec wants tool>5" in skipped
    assert tools.lock.digest == before
    tools.edit(pip=["tool>4"])
    assert tools.tick(SPEC).request.run_key != request.run_key


def test_an_invalid_edit_is_told_and_leaves_everything(tools: Watched) -> None:
    before, remembered = tools.lock, tools.tick(SPEC).cursor
    spec = tools.project.root / "environments/elt.yml"
    text = spec.read_text(encoding="utf-8")
    spec.write_text(text.replace("tool<2", "tool >>2"), encoding="utf-8")
    told = tools.failing_tick(SPEC)
    assert "environments/elt.yml, line 7: the version of 'tool >>2'" in told
    assert tools.lock == before
    spec.write_text(text, encoding="utf-8")
    seen = tools.tick(SPEC)
    assert seen.skipped == "elt@3.11: the lock satisfies the spec and the policy"
    assert seen.cursor == remembered


def test_an_invalid_policy_is_told_and_leaves_everything(
    calm: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELT_ENV_COOLDOWN", "a while")
    told = calm.failing_tick(SPEC)
    assert "elt@3.11: [tool.elt-env] cooldown: write a number and a unit" in told


def test_a_policy_that_the_lock_does_not_satisfy_leads_to_a_run(
    calm: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELT_ENV_COOLDOWN", "5000 days")
    assert "was younger than the cool-down" in calm.tick(SPEC).request.tags[TRIGGER]


def test_targets_that_came_or_went_with_the_policy_are_told(
    calm: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    definitions = calm.definitions
    monkeypatch.setenv("ELT_ENV_ENVIRONMENTS__ELT__PYTHONS", '["3.12"]')
    skipped = calm.tick(SPEC, definitions).skipped
    assert skipped.splitlines() == [
        "elt@3.11: is not in the policy any more; reload the definitions",
        "elt@3.12: is new in the policy; reload the definitions",
    ]


def test_without_a_lock_the_sensors_say_what_makes_one(scene: Scene) -> None:
    with watched(scene, locked=False) as nothing:
        for sensor in (SPEC, "pypi_release_sensor"):
            told = "elt@3.11: there is no lock yet; make one with: elt-env build elt@3.11"
            assert nothing.tick(sensor).skipped == told


def test_the_schedule_upgrades_everything_and_ends_early_where_nothing_is_newer(
    tools: Watched,
) -> None:
    tools.scene.offer_pip("part", "1.1")
    request = tools.schedule().request
    assert (request.job_name, request.partition_key) == ("elt_relock", "3.11")
    assert request.run_key == "2026-05-04 03:02 3.11"
    assert request.tags[TRIGGER] == "schedule of 2026-05-04 03:02 UTC"
    assert tools.run(request).success
    assert versions(tools.lock) == {"part": "1.1", "tool": "1.0"}

    before = tools.lock
    again = tools.run(order("elt_relock"))
    assert again.success
    (made,) = again.asset_materializations_for_node("elt__lockfile")
    assert made.metadata["outcome"].value == "kept: nothing newer within the rules"
    assert tools.lock == before


def test_a_time_that_is_none_is_told_and_an_empty_one_means_never(calm: Watched) -> None:
    policy = calm.project.policy
    never = policy.model_copy(update={"relock_schedule": ""})
    assert relock_schedules("elt", never, ()) == []
    jobs = list(calm.definitions.jobs or ())
    wrong = policy.model_copy(update={"relock_schedule": "every monday"})
    with pytest.raises(PolicyError, match="relock-schedule: 'every monday' is not a time as cron"):
        relock_schedules("elt", wrong, jobs)


def test_an_edit_of_an_included_file_leads_to_one_run(tools: Watched) -> None:
    requirements = tools.project.root / "environments/requirements.txt"
    constraints = tools.project.root / "environments/limits/constraints.txt"
    constraints.parent.mkdir()
    requirements.write_text("tool<2\n-c limits/constraints.txt\n", encoding="utf-8")
    constraints.write_text("part<2\n", encoding="utf-8")
    tools.edit(pip=["-r requirements.txt"])
    assert tools.tick(SPEC).skipped == "elt@3.11: the lock satisfies the spec and the policy"
    tools.scene.offer_pip("part", "0.9")
    constraints.write_text("part<1  # why\n", encoding="utf-8")
    request = tools.tick(SPEC).request
    assert request.tags[TRIGGER] == "part 1.0 is locked, a constraint of the spec wants part<1"
    assert tools.run(request).success
    assert versions(tools.lock) == {"part": "0.9", "tool": "1.0"}
    requirements.write_text("tool<2\npart\n", encoding="utf-8")
    assert "pip: part is new in the spec" in tools.tick(SPEC).request.tags[TRIGGER]


def test_an_included_file_that_is_gone_is_told(tools: Watched) -> None:
    before = tools.lock
    tools.edit(pip=["tool<2", "-r more.txt"])
    told = tools.failing_tick(SPEC)
    assert "environments/elt.yml, line 8: the file environments/more.txt cannot be read" in told
    assert tools.lock == before
    (tools.project.root / "environments/more.txt").write_text("# nothing yet\n", encoding="utf-8")
    assert tools.tick(SPEC).skipped == "elt@3.11: the lock satisfies the spec and the policy"
