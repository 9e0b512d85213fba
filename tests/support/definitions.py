"""The Dagster definitions of one environment, without those of a project."""

from __future__ import annotations

from pathlib import Path

import dagster as dg

from elt_env.defs.jobs import environment_jobs
from elt_env.defs.project import asset_definitions
from elt_env.defs.resources import EltProject
from elt_env.project.policy import EnvironmentPolicy


def environment_definitions(name: str, policy: EnvironmentPolicy) -> dg.Definitions:
    """Return the assets, checks and jobs of one environment."""
    return dg.Definitions.merge(
        asset_definitions(name, policy, Path()),
        environment_jobs(name, policy),
        dg.Definitions(resources={"project": EltProject()}),
    )
