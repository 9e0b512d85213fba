"""The Dagster entry point: every environment of the policy as assets, checks and jobs."""

from __future__ import annotations

import warnings

import dagster as dg

from elt_env.defs.assets import environment_assets, spec_asset
from elt_env.defs.checks import environment_checks, image_checks
from elt_env.defs.console import short_console
from elt_env.defs.jobs import environment_jobs, executor
from elt_env.defs.overview import overview_definitions
from elt_env.defs.readiness import readiness_asset, readiness_job
from elt_env.defs.release_jobs import release_jobs
from elt_env.defs.resources import EltProject
from elt_env.defs.sensors.walk import WATCHING
from elt_env.defs.store_report import store_report_definitions
from elt_env.defs.unloaded import remember_listener, telling_what_is_not_loaded
from elt_env.defs.upkeep import upkeep_definitions
from elt_env.defs.warehouse import warehouse_definitions
from elt_env.defs.watch import watch_definitions
from elt_env.errors import PolicyError
from elt_env.project.policy import EnvironmentPolicy
from elt_env.project.settings import Project, open_project


def environment_definitions(name: str, policy: EnvironmentPolicy) -> dg.Definitions:
    """Return the assets, checks and jobs of one environment."""
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[
                spec_asset(name, policy),
                *environment_assets(name, policy),
                readiness_asset(name, policy.owners),
            ],
            asset_checks=[*environment_checks(name, policy), *image_checks(name, policy)],
        ),
        environment_jobs(name, policy),
    )


def project_definitions(project: Project) -> dg.Definitions:
    """Return all that Dagster knows of a project.

    Raises:
        PolicyError: the project has no policy, only environments that were built from files.
    """
    policy = project.policy
    if not policy.environments:
        raise PolicyError(
            f"No policy in {project.root} lists an environment; Dagster shows those that one does.",
            "Write [tool.elt-env.environments.NAME] into pyproject.toml: docs/policy.md",
        )
    environments = dg.Definitions.merge(
        *(environment_definitions(name, each) for name, each in policy.environments.items()),
        readiness_job(policy.environments),
    )
    return dg.Definitions.merge(
        environments,
        watch_definitions(policy, environments.jobs or ()),
        release_jobs(policy),
        store_report_definitions(policy),
        overview_definitions(policy),
        upkeep_definitions(policy),
        warehouse_definitions(project),
        dg.Definitions(
            resources={"project": EltProject()},
            executor=executor(policy),
            loggers={"console": short_console},
        ),
    )


# Dagster copies sensors with all of their parameters, and warns of its own doing.
warnings.filterwarnings("ignore", ".*`owners` of initializer `SensorDef", dg.BetaWarning)

with telling_what_is_not_loaded(WATCHING):
    project = open_project()
    defs = project_definitions(project)
remember_listener(project.policy)
