from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from elt_env.defs.overview import KEY, overview_definitions, overview_tables
from elt_env.defs.release_jobs import release_jobs
from elt_env.defs.resources import EltProject
from elt_env.lock.diff_report import Waiting
from elt_env.package.target import Target
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.report.standing import Standing, to_markdown
from elt_env.report.standing_of import standing_of
from elt_env.tools import Tools
from tests.support.locks import MOMENT, lock_of, pip_package, python_package
from tests.support.proving import keep_current, prepare, pretend_built, pretend_proven, toolbox_at
from tests.support.sample import silent

pytestmark = pytest.mark.usefixtures("unsynced")

_ENVIRONMENT = EnvironmentPolicy(spec="environments/elt.yml", pythons=("3.11",))
_OLD, _NEW = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_CHECK = "elt_current_lock_in_use"


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    return toolbox_at(tmp_path)


@pytest.fixture
def defs(toolbox: Tools) -> dg.Definitions:
    policy = Policy(environments={"elt": _ENVIRONMENT})
    project = EltProject(directory=str(toolbox.project.root))
    return dg.Definitions.merge(
        dg.Definitions(resources={"project": project}),
        release_jobs(policy),
        overview_definitions(policy),
    )


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def run(defs: dg.Definitions, job: str, instance: dg.DagsterInstance | None = None) -> bool:
    return bool(
        defs.resolve_job_def(job)
        .execute_in_process(partition_key="elt@3.11", instance=instance, raise_on_error=False)
        .success
    )


def look(
    defs: dg.Definitions, instance: dg.DagsterInstance
) -> tuple[dict[str, Any], dg.AssetCheckResult]:
    """Materialize the overview; return its metadata and the result of its check."""
    result = defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance, asset_selection=[KEY]
    )
    [event] = result.get_asset_materialization_events()
    [check] = result.get_asset_check_evaluations()
    metadata = {name: value.value for name, value in event.materialization.metadata.items()}
    return metadata, check  # type: ignore[return-value]  # alike


@pytest.mark.parametrize(
    ("state", "why", "remedy"),
    [
        ("nothing", "nothing is locked yet", "elt-env build elt@3.11"),
        ("locked", "is not built", "elt-env build elt@3.11"),
        ("built", "pip_check was not run", "elt-env doctor elt@3.11 --check"),
        ("failed", "pip_check failed: pip_check is failed", "Change the spec and build again"),
        ("proven", "is proven, and not promoted", "elt-env promote elt@3.11"),
        ("rolled back", "was rolled back from", "elt-env promote elt@3.11"),
    ],
)
def test_what_waits_is_told_with_the_reason_and_what_to_do(
    toolbox: Tools, state: str, why: str, remedy: str
) -> None:
    if state == "rolled back":
        for lock in (_OLD, _NEW):
            prepare(lock, toolbox)
            promote(lock.target, toolbox, silent, trigger="by test", by="test")
        roll_back(_NEW.target, toolbox, silent, trigger="by test", by="test")
    elif state != "nothing":
        keep_current(_NEW, toolbox)
    if state in ("built", "failed", "proven"):
        pretend_built(_NEW, toolbox)
    if state in ("failed", "proven"):
        pretend_proven(_NEW, toolbox)
    if state == "failed":
        pretend_proven(_NEW, toolbox, names=["pip_check"], status="failed")

    standing = standing_of(_NEW.target, toolbox.project, toolbox.store)
    assert why in standing.waits
    assert remedy in standing.remedy
    assert bool(standing.failed) == (state == "failed")


def test_what_is_in_use_passes_and_its_numbers_can_be_plotted(
    toolbox: Tools, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    prepare(_NEW, toolbox)
    promote(_NEW.target, toolbox, silent, trigger="by test", by="test")
    content, check = look(defs, instance)
    assert check.passed
    assert (content["waiting"], content["failed"]) == (0, 0)
    assert content["elt@3.11 packages"] == len(_NEW.packages)
    assert content["elt@3.11 hours_to_promote"] >= 0
    assert "number 1, " in content["elt"]


def test_the_run_that_failed_last_is_told_until_one_is_well(
    toolbox: Tools, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    keep_current(_NEW, toolbox)
    assert not run(defs, "promote", instance)
    assert "(promote): " in str(look(defs, instance)[0]["elt"])
    prepare(_NEW, toolbox)
    assert run(defs, "promote", instance)
    assert "(promote): " not in str(look(defs, instance)[0]["elt"])


def test_the_sensor_writes_it_when_something_changed_and_takes_no_run(
    toolbox: Tools, defs: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    sensor = defs.resolve_sensor_def("overview_sensor")

    def tick(cursor: str | None) -> str:
        with dg.build_sensor_context(
            instance=instance,
            cursor=cursor,
            definitions=defs,
            sensor_name="overview_sensor",
            resources={"project": EltProject(directory=str(toolbox.project.root))},
        ) as context:
            found = sensor.evaluate_tick(context)
        assert not found.run_requests
        return str(found.cursor)

    first = tick(None)
    assert tick(first) == first
    keep_current(_NEW, toolbox)
    second = tick(first)
    assert second != first
    events = instance.fetch_materializations(KEY, limit=10).records
    assert len(events) == 2
    key = dg.AssetCheckKey(KEY, _CHECK)
    latest = instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
    assert latest.evaluation is not None
    assert not latest.evaluation.passed
    assert "is not built" in str(latest.evaluation.description)


def test_a_table_holds_what_is_in_it() -> None:
    newer = tuple(
        Waiting(f"p{n}", "pip", "1", "2", MOMENT, MOMENT + timedelta(days=n)) for n in range(5)
    )
    standing = Standing(_NEW.target, _NEW, waits="a | b\nc", newer=newer)
    *_, row = to_markdown([standing], MOMENT + timedelta(days=3)).splitlines()
    assert "a \\| b<br>c<br>in cool-down: p0 2 from " in row
    assert row.endswith(" and 2 more | nothing | nothing |")
    assert standing.numbers(MOMENT + timedelta(days=3))["lag_days"] == 3


@pytest.mark.parametrize("is_long", [False, True])
def test_each_environment_has_a_table_that_the_web_ui_does_not_fold_up(*, is_long: bool) -> None:
    why = "a check | failed\nin `dbt`" + " of many" * (100 if is_long else 1)
    standings = [
        Standing(Target(name, python, "linux-64"), waits=why, remedy="elt-env build")
        for name in ("one", "two")
        for python in ("3.11", "3.12")
    ]
    found = overview_tables(standings, MOMENT)
    assert list(found) == ["one", "two"]
    for value in found.values():
        assert isinstance(value, dg.TableMetadataValue) is is_long
        if isinstance(value, dg.TableMetadataValue):
            assert [each.data["target"] for each in value.records] == [
                f"{'one' if value is found['one'] else 'two'}@{python}"
                for python in ("3.11", "3.12")
            ]
            assert str(value.records[0].data["what waits, and why it does not come"]).startswith(
                "a check | failed; in dbt of many"
            )
        else:
            assert len(str(value.value)) < 1000
