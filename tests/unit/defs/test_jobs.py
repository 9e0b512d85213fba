from __future__ import annotations

import dagster as dg
import pytest
import yaml

from elt_env.defs.assets import environment_assets
from elt_env.defs.names import group_name, python_partitions
from elt_env.defs.readiness import readiness_job
from elt_env.defs.release_jobs import release_jobs
from elt_env.defs.run_tags import BY_ITSELF
from elt_env.defs.store_report import store_report_definitions
from elt_env.defs.upkeep import upkeep_definitions
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.proof.checks import NOT_BLOCKING
from elt_env.proof.prove import CHECKS, HEALTH_CHECKS, IMAGE_CHECKS, SMOKE_CHECKS
from tests.support.commands import REPOSITORY
from tests.support.definitions import environment_definitions

_POLICY = EnvironmentPolicy(spec="environments/my-elt.yml", pythons=("3.11", "3.12"))


@pytest.fixture(scope="module")
def defs() -> dg.Definitions:
    return environment_definitions("my-elt", _POLICY)


def _checks(defs: dg.Definitions, job: str) -> set[str]:
    graph = defs.resolve_job_def(job).asset_layer.asset_graph
    return {key.name for key in graph.asset_check_keys}


def _assets(defs: dg.Definitions, job: str) -> set[str]:
    keys = defs.resolve_job_def(job).asset_layer.asset_graph.executable_asset_keys
    return {key.to_user_string() for key in keys}


@pytest.mark.parametrize("job", ["my_elt_build", "my_elt_relock"])
def test_a_build_ends_with_what_blocks(defs: dg.Definitions, job: str) -> None:
    assert _checks(defs, job) == {*CHECKS, *IMAGE_CHECKS}
    assert set(NOT_BLOCKING).isdisjoint(_checks(defs, job))
    assert set(SMOKE_CHECKS) <= _checks(defs, job)
    assert _assets(defs, job) == {
        "my-elt/lockfile",
        "my-elt/environment",
        "my-elt/image",
        "my-elt/release",
    }
    assert BY_ITSELF in defs.resolve_job_def(job).tags


def test_a_backfill_has_a_run_for_each_python(defs: dg.Definitions) -> None:
    for asset in ("lockfile", "environment", "image", "release"):
        policy = defs.resolve_assets_def(["my-elt", asset]).backfill_policy
        assert policy is not None
        assert policy.max_partitions_per_run == 1


def test_runs_are_at_their_job_whatever_began_them() -> None:
    policy = Policy(environments={"my-elt": _POLICY})
    defs = dg.Definitions.merge(
        environment_definitions("my-elt", _POLICY),
        readiness_job(policy.environments),
        release_jobs(policy),
        store_report_definitions(policy),
        upkeep_definitions(policy),
    )
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text())
    (location,) = workspace["load_from"]
    name = location["python_module"]["location_name"]
    jobs = [
        each for each in defs.get_repository_def().get_all_jobs() if not each.name.startswith("__")
    ]
    assert len(jobs) > 10
    for each in jobs:
        assert each.tags[".dagster/repository"] == f"__repository__@{name}", each.name


def test_the_owners_of_the_policy_are_those_of_the_assets() -> None:
    owned = _POLICY.model_copy(update={"owners": ("team:data", "someone@example.invalid")})
    defs = environment_definitions("my-elt", owned)
    owners = [list(each.owners) for each in defs.resolve_all_asset_specs()]
    assert owners == [["team:data", "someone@example.invalid"]] * 6


def test_where_a_person_promotes_a_build_leaves_the_release() -> None:
    manual = _POLICY.model_copy(update={"promote": "manual"})
    defs = environment_definitions("my-elt", manual)
    assert "my-elt/release" not in _assets(defs, "my_elt_build")


def test_promote_and_rollback_move_the_release_of_any_target() -> None:
    policy = Policy(environments={"my-elt": _POLICY, "other": _POLICY})
    defs = release_jobs(policy)
    assert defs.jobs is not None
    for job in defs.jobs:
        assert isinstance(job, dg.JobDefinition)
        assert BY_ITSELF not in job.tags
        assert job.partitions_def is not None
        assert job.partitions_def.get_partition_keys() == [
            *("my-elt@3.11", "my-elt@3.12", "other@3.11", "other@3.12")
        ]
        assert len(job.graph.node_dict) == 1


def test_the_other_jobs_run_checks_of_a_python_that_a_person_chooses(defs: dg.Definitions) -> None:
    jobs = {f"my_elt_{name}": {name} for name in SMOKE_CHECKS}
    jobs["my_elt_health"] = set(HEALTH_CHECKS)
    assert {job: _checks(defs, job) for job in jobs} == jobs
    for job in jobs:
        assert _assets(defs, job) == {"my-elt/environment"}
        assert defs.resolve_job_def(job).partitions_def == python_partitions(_POLICY)


def test_each_check_says_what_holds_and_whether_it_blocks(defs: dg.Definitions) -> None:
    graph = defs.resolve_asset_graph()
    nodes = [graph.get(key) for key in graph.asset_check_keys]
    assert {each.key.name for each in nodes} == {*HEALTH_CHECKS, *IMAGE_CHECKS}
    assert {each.key.name for each in nodes if not each.blocking} == set(NOT_BLOCKING)
    assert all(each.description for each in nodes)
    assert {each.partitions_def for each in nodes} == {python_partitions(_POLICY)}


def test_a_check_of_the_policys_own_is_one_of_the_environment_and_has_a_job() -> None:
    own = {
        "analytics": {"kind": "command", "run": "true", "in_image": True},
        "nightly": {"kind": "command", "run": "true", "blocking": False},
    }
    policy = EnvironmentPolicy.model_validate({**_POLICY.model_dump(), "checks": own})
    defs = environment_definitions("my-elt", policy)
    nodes = defs.resolve_asset_graph().asset_check_keys
    assert {each.name for each in nodes} >= {"analytics", "nightly", "analytics_in_image"}
    blocking = {
        each.key.name: each.blocking
        for definition in defs.asset_checks or ()
        for each in definition.check_specs
        if each.key.name in ("analytics", "nightly", "analytics_in_image")
    }
    assert blocking == {"analytics": True, "nightly": False, "analytics_in_image": True}
    assert _checks(defs, "my_elt_analytics") == {"analytics"}
    assert _checks(defs, "my_elt_build") >= {"analytics", "nightly", "analytics_in_image"}
    assert "analytics" in _checks(defs, "my_elt_health")


def test_each_environment_has_a_pool_for_the_steps_of_all_its_assets() -> None:
    for name in ("my-elt", "other"):
        for each in environment_assets(name, _POLICY):
            assert each.node_def.pools == {group_name(name)}
