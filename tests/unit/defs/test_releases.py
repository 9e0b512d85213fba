from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from elt_env.defs.assets import environment_assets
from elt_env.defs.release_jobs import release_jobs
from elt_env.defs.resources import EltProject
from elt_env.defs.run_tags import BY_ITSELF, TO, TRIGGER, is_unasked, mover
from elt_env.lockfile.document import Lock
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.release.record import Release
from elt_env.release.store import ReleaseStore
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import prepare, toolbox_at

pytestmark = pytest.mark.usefixtures("unsynced")

_POLICY = EnvironmentPolicy(spec="environments/elt.yml", pythons=("3.11",))
_OLD, _NEW = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_KEY = dg.AssetKey(["elt", "release"])


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    return toolbox_at(tmp_path)


@pytest.fixture
def defs(toolbox: Tools) -> dg.Definitions:
    project = EltProject(directory=str(toolbox.project.root))
    return dg.Definitions.merge(
        dg.Definitions(assets=environment_assets("elt", _POLICY), resources={"project": project}),
        release_jobs(Policy(environments={"elt": _POLICY})),
    )


def run(
    defs: dg.Definitions, job: str, *, config: dict[str, str] | None = None, **tags: str
) -> dg.ExecuteInProcessResult:
    definition = defs.resolve_job_def(job)
    [step] = (each.name for each in definition.nodes)
    return definition.execute_in_process(
        partition_key="elt@3.11",
        run_config={"ops": {step: {"config": config}}} if config else {},
        tags={f"elt-env/{name.replace('_', '-')}": value for name, value in tags.items()},
        raise_on_error=False,
    )


def shown(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """Return the metadata of the one materialization, which is the release's."""
    assert result.success
    [event] = result.get_asset_materialization_events()
    made = event.materialization
    assert (made.asset_key, made.partition) == (_KEY, "3.11")
    assert made.tags is not None
    assert str(made.metadata["digest"].value) in made.tags["dagster/data_version"]
    return {name: value.value for name, value in made.metadata.items()}


def history(toolbox: Tools) -> tuple[Release, ...]:
    return ReleaseStore(toolbox.store).history("elt@3.11")


def release(toolbox: Tools, defs: dg.Definitions, *locks: Lock) -> None:
    for lock in locks:
        prepare(lock, toolbox)
        assert run(defs, "promote").success


def test_a_promotion_shows_what_it_is_what_changed_its_proof_and_its_use(
    toolbox: Tools, defs: dg.Definitions
) -> None:
    release(toolbox, defs, _OLD)
    prepare(_NEW, toolbox)
    result = run(defs, "promote", trigger="alpha 1.0 → 1.1")
    content = shown(result)
    assert (content["digest"], content["release"]) == (_NEW.digest, 2)
    assert content["outcome"] == "promoted"
    assert content["why"].startswith("alpha 1.0 → 1.1, by job promote, run ")
    assert "alpha" in content["changes"]
    assert (content["change_count"], content["package_count"]) == (1, len(_NEW.packages))
    assert content["hours_to_promote"] >= 0.0
    assert f"{content['path']}/python --version" in content["how_to_use"]
    assert {each.data["check"] for each in content["proven"].records} >= {"pip_check", "imports"}
    assert [each.data["number"] for each in content["history"].records] == [2, 1]
    last = history(toolbox)[-1]
    assert (last.trigger, last.by) == (
        "alpha 1.0 → 1.1",
        f"job promote, run {result.run_id.partition('-')[0]}",
    )


@pytest.mark.parametrize("job", ["promote", "rollback"])
def test_the_reason_that_a_person_writes_is_kept(
    toolbox: Tools, defs: dg.Definitions, job: str
) -> None:
    release(toolbox, defs, _OLD, _NEW)
    prepare(_OLD, toolbox)
    content = shown(run(defs, job, config={"why": "alpha is too slow"}, trigger="none"))
    assert content["digest"] == _OLD.digest
    assert history(toolbox)[-1].trigger == "alpha is too slow"


@pytest.mark.parametrize("job", ["promote", "rollback", "repair"])
def test_a_job_for_which_no_python_was_chosen_says_which_there_are(
    defs: dg.Definitions, job: str
) -> None:
    result = defs.resolve_job_def(job).execute_in_process(raise_on_error=False)
    [failure] = (each for each in result.all_events if each.is_step_failure)
    assert failure.step_failure_data.user_failure_data is not None
    told = str(failure.step_failure_data.user_failure_data.description)
    assert told.startswith("No target was chosen.")
    assert "Choose a partition (elt@3.11)" in told


def test_a_refused_promotion_fails_and_names_the_check(
    toolbox: Tools, defs: dg.Definitions
) -> None:
    release(toolbox, defs, _OLD)
    toolbox.store.write_lock(_NEW)
    toolbox.store.set_current(_NEW.target, _NEW.digest, toolbox.store.now())
    result = run(defs, "promote")
    assert not result.success
    [failure] = (each for each in result.all_events if each.is_step_failure)
    assert "pip_check was not run" in str(failure.step_failure_data.user_failure_data)
    assert [each.digest for each in history(toolbox)] == [_OLD.digest]


def test_a_roll_back_and_no_way_forward_but_a_persons(toolbox: Tools, defs: dg.Definitions) -> None:
    release(toolbox, defs, _OLD, _NEW)
    content = shown(run(defs, "rollback"))
    assert (content["digest"], content["outcome"]) == (_OLD.digest, "rolled back")
    assert "launched by hand, by job rollback" in content["why"]

    kept = shown(run(defs, "promote", by_itself="yes"))
    assert kept["digest"] == _OLD.digest
    assert "was rolled back from" in kept["outcome"]
    assert history(toolbox)[-1].digest == _OLD.digest

    assert shown(run(defs, "promote"))["digest"] == _NEW.digest


def test_a_roll_back_to_a_digest(toolbox: Tools, defs: dg.Definitions) -> None:
    third = lock_of(python_package(), pip_package("alpha", "1.2"))
    release(toolbox, defs, _OLD, _NEW, third)
    assert shown(run(defs, "rollback", to=_OLD.digest[7:19]))["digest"] == _OLD.digest


def test_where_to_and_why_can_be_typed_into_the_launchpad(
    toolbox: Tools, defs: dg.Definitions
) -> None:
    release(toolbox, defs, _OLD, _NEW)
    config = {"to": _OLD.digest[7:19], "why": "dbt test fails"}
    done = defs.resolve_job_def("rollback").execute_in_process(
        partition_key="elt@3.11", run_config={"ops": {"roll_back": {"config": config}}}
    )
    content = shown(done)
    assert content["digest"] == _OLD.digest
    assert content["why"].startswith("dbt test fails, by job rollback")


def a_run(job: str, **tags: str) -> dg.DagsterRun:
    return dg.DagsterRun(job_name=job, run_id="3f2a1b2c-0000-4000-8000-000000000000", tags=tags)


@pytest.mark.parametrize(
    ("tags", "trigger"),
    [
        ({}, "launched by hand"),
        ({"dagster/schedule_name": "weekly"}, "schedule weekly"),
        ({"dagster/sensor_name": "elt_index"}, "sensor elt_index"),
        ({"dagster/backfill": "abcd"}, "backfill abcd"),
        ({"dagster/sensor_name": "elt_index", TRIGGER: "dagster 1.13.28"}, "dagster 1.13.28"),
    ],
)
def test_why_a_run_moved_a_release(tags: dict[str, str], trigger: str) -> None:
    assert mover(a_run("elt_build", **tags)) == {
        "trigger": trigger,
        "by": "job elt_build, run 3f2a1b2c",
    }


def test_what_was_materialized_by_hand_has_no_job() -> None:
    assert mover(a_run("__ASSET_JOB"))["by"] == "run 3f2a1b2c"


@pytest.mark.parametrize(
    ("tags", "unasked"),
    [
        ({}, False),
        ({TO: "abcd"}, False),
        ({BY_ITSELF: "yes"}, True),
        ({"dagster/schedule_name": "weekly"}, True),
        ({"dagster/sensor_name": "automation"}, True),
    ],
)
def test_whether_a_person_wants_that_release(tags: dict[str, str], unasked: bool) -> None:  # noqa: FBT001
    assert is_unasked(tags) is unasked
