"""The Dagster entry point: every environment of the policy as assets, checks and jobs."""

from __future__ import annotations

import time
import warnings
from pathlib import Path

from elt_env.runtime.collection import without_collection

with without_collection():
    import dagster as dg

    from elt_env.defs.console import short_console
    from elt_env.defs.jobs import policy_executor
    from elt_env.defs.project import shared_definitions
    from elt_env.defs.resources import EltProject
    from elt_env.defs.sensors.walk import WATCHING
    from elt_env.defs.unloaded import remember_listener, telling_what_is_not_loaded
    from elt_env.defs.warehouse import warehouse_definitions
    from elt_env.project.components import defs_folder
    from elt_env.project.project import Project
    from elt_env.project.settings import open_project


def project_definitions(project: Project) -> dg.Definitions:
    """Return all that Dagster knows of a project, with what `dg scaffold defs` has made in it.

    Raises:
        PolicyError: the project has no policy, only environments that were built from files.
    """
    return dg.Definitions.merge(
        _own_definitions(project),
        warehouse_definitions(project),
        dg.Definitions(
            executor=policy_executor(project.policy), loggers={"console": short_console}
        ),
    )


def _own_definitions(project: Project) -> dg.Definitions:
    """Return the environments, and what else is in the folder of a `dg` project's definitions.

    Environments that are components there bring what they share themselves.
    """
    folder = defs_folder(project.root)
    if folder is None or _is_empty(folder):
        return shared_definitions(project, EltProject())
    # Not `load_from_defs_folder`: it warns where -m gives the code location another name.
    found = dg.ComponentTree.for_project(project.root)
    tree = dg.ComponentTree.from_module(found.defs_module, found.project_root)
    made = tree.build_defs()
    if project.components:
        return made
    return dg.Definitions.merge(made, shared_definitions(project, EltProject()))


def _is_empty(folder: Path) -> bool:
    """Tell whether nothing was made in a folder of definitions; to load it takes a second."""
    return {each.name for each in folder.iterdir()} <= {"__init__.py", "__pycache__"}


begun = time.time()
with warnings.catch_warnings(), without_collection(), telling_what_is_not_loaded(WATCHING):
    # Dagster's own news about previews is for whoever changes this, not for those who launch a job.
    warnings.simplefilter("ignore", dg.PreviewWarning)
    project = open_project()
    defs = project_definitions(project)
remember_listener(project.policy, begun)
