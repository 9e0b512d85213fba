"""What Dagster is told of the checks of an environment that is built."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from elt_env.defs.assets import environment_assets
from elt_env.defs.checks import environment_checks
from elt_env.defs.jobs import environment_jobs
from elt_env.defs.resources import EltProject
from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.lockfile.document import Lock
from elt_env.project.project import Project
from elt_env.proof.checks import NOT_BLOCKING
from elt_env.proof.prove import CHECKS
from tests.support.loopback import dead_url
from tests.support.native import replace
from tests.support.project import ENVIRONMENT, make_project, toolbox_of
from tests.support.sample import silent

ASSET = dg.AssetKey([ENVIRONMENT, "environment"])


@pytest.fixture
def project(tmp_path: Path, sample_lock: Lock) -> Project:
    """A project of two Pythons, of which one has a current lock."""
    made = make_project(
        tmp_path,
        channels=["https://channel.invalid"],
        index=dead_url(),
        pythons=[sample_lock.target.python, "3.12"],
    )
    store = toolbox_of(made).store
    store.write_lock(sample_lock)
    store.set_current(sample_lock.target, sample_lock.digest, sample_lock.locked_at)
    return made


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster").mkdir()
    quiet = {"telemetry": {"enabled": False}}
    with dg.DagsterInstance.local_temp(str(tmp_path / "dagster"), overrides=quiet) as made:
        yield made


def definitions(project: Project) -> dg.Definitions:
    policy = project.policy.environments[ENVIRONMENT]
    return dg.Definitions.merge(
        dg.Definitions(
            assets=environment_assets(ENVIRONMENT, policy),
            asset_checks=environment_checks(ENVIRONMENT, policy),
            resources={"project": EltProject(directory=str(project.root))},
        ),
        environment_jobs(ENVIRONMENT, policy),
    )


def execute_checks(
    project: Project, instance: dg.DagsterInstance, *names: str
) -> dg.ExecuteInProcessResult:
    """Run checks as the button "Execute all" does: without a partition."""
    keys = {dg.AssetCheckKey(ASSET, name) for name in names}
    job = definitions(project).resolve_implicit_global_asset_job_def()
    subset = job.get_subset(asset_selection=set(), asset_check_selection=keys)
    return subset.execute_in_process(instance=instance, raise_on_error=False)


def materialize(
    project: Project, instance: dg.DagsterInstance, python: str
) -> dg.ExecuteInProcessResult:
    """Make the environment as the button "Materialize" does: with every check on it."""
    job = definitions(project).resolve_implicit_global_asset_job_def()
    return job.get_subset(asset_selection={ASSET}).execute_in_process(
        instance=instance, partition_key=python, asset_selection=[ASSET], raise_on_error=False
    )


def told(run: dg.ExecuteInProcessResult) -> dict[str, tuple[bool, str]]:
    return {
        each.check_name: (each.passed, str(each.description))
        for each in run.get_asset_check_evaluations()
    }


def of_partition(instance: dg.DagsterInstance, name: str, python: str) -> bool | None:
    """Return what the instance has last been told of a check on one Python."""
    records = instance.event_log_storage.get_asset_check_execution_history(
        dg.AssetCheckKey(ASSET, name), limit=10
    )
    for each in records:
        event = each.event.dagster_event if each.event else None
        if event and event.asset_check_evaluation_data.partition == python:
            return event.asset_check_evaluation_data.passed
    return None


def break_alpha(project: Project, lock: Lock) -> None:
    prefix = Prefix(toolbox_of(project).store.prefix_path(lock), lock)
    replace(prefix.site_packages / "alpha" / "__init__.py", b"raise ImportError('no')\n")


def test_without_a_python_every_built_one_is_checked(
    project: Project, sample_lock: Lock, instance: dg.DagsterInstance
) -> None:
    ensure_prefix(sample_lock, toolbox_of(project), silent)
    instance.report_runless_asset_event(dg.AssetMaterialization(ASSET, partition="3.11"))

    run = execute_checks(project, instance, "pip_check", "imports")

    assert run.success
    assert told(run)["imports"] == (True, "3.11: 3 modules import")
    assert of_partition(instance, "imports", "3.11") is True
    assert of_partition(instance, "imports", "3.12") is None
    assert execute_checks(project, instance, "pip_check", "imports").success


def test_where_the_environment_is_made_it_is_not_built_a_second_time(
    project: Project, instance: dg.DagsterInstance
) -> None:
    run = materialize(project, instance, "3.11")
    assert run.success
    assert set(told(run)) == set(CHECKS)
    assert set(told(execute_checks(project, instance, *NOT_BLOCKING))) == set(NOT_BLOCKING)


def test_a_failure_on_one_python_is_told_for_it_and_for_all(
    project: Project, sample_lock: Lock, instance: dg.DagsterInstance
) -> None:
    ensure_prefix(sample_lock, toolbox_of(project), silent)
    break_alpha(project, sample_lock)

    run = execute_checks(project, instance, "pip_check", "imports")

    passed, description = told(run)["imports"]
    assert not passed
    assert description.startswith("3.11: alpha of alpha 1.0: ImportError: no")
    assert of_partition(instance, "imports", "3.11") is False
    assert told(run)["pip_check"][0]


def test_without_anything_built_it_says_what_to_build(
    project: Project, instance: dg.DagsterInstance
) -> None:
    run = execute_checks(project, instance, "imports")
    assert not run.success
    (event,) = run.filter_events(lambda each: each.is_step_failure)
    failure = event.step_failure_data.user_failure_data
    assert failure
    assert "Choose a Python and materialize it, or: elt-env build elt@3.11" in str(
        failure.description
    )


@pytest.mark.parametrize("check", ["dbt_smoke", "meltano_smoke", "dagster_smoke"])
def test_a_check_of_what_is_not_in_the_lock_passes(
    check: str, project: Project, sample_lock: Lock, instance: dg.DagsterInstance
) -> None:
    ensure_prefix(sample_lock, toolbox_of(project), silent)
    job = definitions(project).resolve_job_def(f"{ENVIRONMENT}_{check}")

    run = job.execute_in_process(instance=instance, partition_key="3.11", raise_on_error=False)

    assert run.success
    passed, description = told(run)[check]
    assert passed
    assert description.startswith("does not apply: elt@3.11 has no ")
    # The job is one of the asset, which was there, so that nothing was made.
    (made,) = run.get_asset_materialization_events()
    assert made.asset_key == ASSET
