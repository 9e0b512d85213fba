"""All that Dagster knows of the environments of a project."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any, cast

import dagster as dg

from elt_env.defs.assets import environment_assets, spec_asset
from elt_env.defs.automation import automation_sensor, made_by_schedule
from elt_env.defs.checks import environment_checks, image_checks
from elt_env.defs.jobs import environment_jobs, policy_executor
from elt_env.defs.names import group_name
from elt_env.defs.observability import observability_definitions
from elt_env.defs.overview import overview_definitions
from elt_env.defs.readiness import JOB as READINESS
from elt_env.defs.readiness import readiness_asset, readiness_job
from elt_env.defs.release_jobs import release_jobs
from elt_env.defs.resources import EltProject
from elt_env.defs.rollouts import rollout_definitions
from elt_env.defs.schedules import relock_schedules
from elt_env.defs.sensors import sensors
from elt_env.defs.sensors.instance import instance_sensor, lost_run_sensor
from elt_env.defs.store_report import store_report_definitions
from elt_env.defs.upkeep import upkeep_definitions
from elt_env.errors import PolicyError
from elt_env.project.policy import EnvironmentPolicy, Policy
from elt_env.project.project import Project


def watch_definitions(policy: Policy, jobs: Iterable[Any]) -> dg.Definitions:
    """Return the sensors of the project and the schedules of its environments.

    Args:
        policy: the policy of the whole project.
        jobs: those of all environments.

    Raises:
        PolicyError: a time of the policy cannot be read.
    """
    every = list(jobs)
    asked = {READINESS, *(f"{group_name(name)}_build" for name in policy.environments)}
    wanted = [each for each in every if each.name in asked]
    return dg.Definitions(
        sensors=[
            *sensors(policy, wanted),
            automation_sensor(policy),
            lost_run_sensor(policy),
            instance_sensor(policy),
        ],
        schedules=[
            schedule
            for name in policy.environments
            for schedule in relock_schedules(name, policy, every)
        ],
    )


# Dagster copies sensors with all of their parameters, and warns of its own doing.
warnings.filterwarnings("ignore", ".*`owners` of initializer `SensorDef", dg.BetaWarning)


def asset_definitions(
    name: str, policy: EnvironmentPolicy, root: Path, fresh: dg.FreshnessPolicy | None = None
) -> dg.Definitions:
    """Return the assets and checks of one environment.

    Args:
        name: of the environment.
        policy: of the environment.
        root: directory of the project.
        fresh: when the schedule makes its lockfile, and its release where that follows by itself.
    """
    scheduled = {"lockfile", "release"} if policy.promote == "auto" else {"lockfile"}

    def refreshed(spec: dg.AssetSpec) -> dg.AssetSpec:
        is_scheduled = fresh is not None and spec.key.path[-1] in scheduled
        return spec.replace_attributes(freshness_policy=fresh) if is_scheduled else spec

    with warnings.catch_warnings():
        # Where the code is, is a beta; without it nothing else changes.
        warnings.simplefilter("ignore", dg.BetaWarning)
        spec = spec_asset(name, policy, root)
        made = dg.with_source_code_references(environment_assets(name, policy))
    return dg.Definitions(
        assets=[
            spec,
            *dg.map_asset_specs(refreshed, cast("list[dg.AssetsDefinition]", made)),
            readiness_asset(name, policy.owners),
        ],
        asset_checks=[
            *environment_checks(name, policy),
            *(image_checks(name, policy) if policy.has_image else ()),
        ],
    )


def shared_definitions(
    project: Project, resource: EltProject, without: Collection[str] = ()
) -> dg.Definitions:
    """Return the environments of a project, and what they share.

    Not the warehouse, and nothing that is the code location's own, as its executor.

    Args:
        project: whose policy it is.
        resource: where the ops find the project.
        without: environments whose assets and checks come from elsewhere.

    Raises:
        PolicyError: the project has no policy, only environments that were built from files.
    """
    policy, fresh = project.policy, made_by_schedule(project.policy)
    if not policy.environments:
        raise PolicyError(
            f"No policy in {project.root} lists an environment; Dagster shows those that one does.",
            "Write [tool.elt-env.environments.NAME] into pyproject.toml: docs/policy.md",
        )
    every, executor = policy.environments.items(), policy_executor(policy)
    jobs = dg.Definitions.merge(
        *(environment_jobs(name, each, executor) for name, each in every),
        readiness_job(policy.environments),
    )
    return dg.Definitions.merge(
        *(
            asset_definitions(name, each, project.root, fresh)
            for name, each in every
            if name not in without
        ),
        jobs,
        watch_definitions(policy, jobs.jobs or ()),
        release_jobs(policy),
        rollout_definitions(policy),
        store_report_definitions(policy),
        overview_definitions(policy),
        upkeep_definitions(policy),
        observability_definitions(policy, project.root),
        dg.Definitions(resources={"project": resource}),
    )
