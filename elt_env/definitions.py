"""The Dagster entry point: every environment of the policy as assets, checks and jobs."""

from __future__ import annotations

import dagster as dg

from elt_env.defs.assets import environment_asset, image_asset, lockfile_asset
from elt_env.defs.checks import environment_checks, image_checks
from elt_env.defs.console import short_console
from elt_env.defs.jobs import environment_jobs, executor
from elt_env.defs.resources import EltProject
from elt_env.model.policy import EnvironmentPolicy
from elt_env.tools.settings import open_project


def environment_definitions(name: str, policy: EnvironmentPolicy) -> dg.Definitions:
    """Return the assets, checks and jobs of one environment."""
    return dg.Definitions.merge(
        dg.Definitions(
            assets=[
                each(name, policy) for each in (lockfile_asset, environment_asset, image_asset)
            ],
            asset_checks=[*environment_checks(name, policy), *image_checks(name, policy)],
        ),
        environment_jobs(name, policy),
    )


_policy = open_project().policy

defs = dg.Definitions.merge(
    *(environment_definitions(name, policy) for name, policy in _policy.environments.items()),
    dg.Definitions(
        resources={"project": EltProject()},
        executor=executor(_policy),
        loggers={"console": short_console},
    ),
)
