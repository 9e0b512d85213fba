"""An environment as a component, for any `dg` project."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
from pydantic import BaseModel

from elt_env.defs.automation import made_by_schedule
from elt_env.defs.project import asset_definitions, shared_definitions
from elt_env.defs.resources import EltProject
from elt_env.errors import InputError
from elt_env.project.policy import ComponentPolicy
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.runtime.files import write_atomically
from elt_env.start.files import TOOLS, spec_text
from elt_env.start.look import DirectoryContent, look

_LAST: list[tuple[dg.ComponentTree, Project]] = []
_ATTRIBUTES = """\
type: {type}

attributes:
  spec: {spec}  # relative to the project
  pythons: {pythons}
  promote: auto  # manual: what is proven waits for a person
  channel_fallback: host  # none in production: without its channel nothing is locked
"""


class EnvironmentScaffolder(dg.Scaffolder):
    """Writes a `defs.yaml`, and an environment.yml beside it where the project has none."""

    def scaffold(self, request: dg.ScaffoldRequest) -> None:
        """Write the files.

        Raises:
            InputError: the component is to be written in Python.
            SpecError: no Python satisfies what the project asks for.
        """
        if request.scaffold_format != "yaml":
            raise InputError(
                "An environment is written in YAML, which `elt-env` reads as well.",
                "Leave out --format, or take: --format yaml",
            )
        root = request.project_root or Path.cwd()
        folder = request.target_path.parent if request.append else request.target_path
        found = look(root)
        text = _ATTRIBUTES.format(
            type=request.type_name,
            spec=found.spec or _write_spec(folder, found).relative_to(root),
            pythons=json.dumps(found.pythons()[:1]),
        )
        if request.append:
            with request.target_path.open("a", encoding="utf-8") as file:
                file.write(f"---\n{text}")
        else:
            write_atomically(folder / "defs.yaml", text)


def _write_spec(folder: Path, found: DirectoryContent) -> Path:
    path = folder / "environment.yml"
    if not path.exists():
        write_atomically(path, spec_text(folder.name, found.python, found.requirements or TOOLS))
    return path


@dg.scaffold_with(EnvironmentScaffolder)
class EnvironmentComponent(dg.Component):
    """An environment.yml as a locked, installed and proven ELT environment.

    Its attributes are the keys of the policy, which `elt-env` and the runs read from the same
    file; the component makes their assets, checks, jobs, sensors and schedules.

    Attributes:
        name: of the environment.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """Return what the attributes in a `defs.yaml` may be."""
        return ComponentPolicy

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """Return what `dg list components` shows."""
        return dg.ComponentTypeSpec(
            tags=["conda", "dbt", "environment", "pip"],
            produces=["asset", "asset_check", "job", "resource", "schedule", "sensor"],
        )

    @classmethod
    def load(
        cls, attributes: BaseModel | None, context: dg.ComponentLoadContext
    ) -> EnvironmentComponent:
        """Return the component of a `defs.yaml`."""
        said = attributes.name if isinstance(attributes, ComponentPolicy) else None
        return cls(said or context.path.name)

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:
        """Return the assets and checks; the first component adds all jobs, sensors and schedules.

        Raises:
            PolicyError: the policy cannot be used.
        """
        project = _opened(context.component_tree)
        if self.name != project.components[0].name:
            fresh = made_by_schedule(project.policy)
            policy = project.environment(self.name)
            return asset_definitions(self.name, policy, project.root, fresh)
        others = {each.name for each in project.components} - {self.name}
        resource = EltProject(directory=str(project.root))
        return shared_definitions(project, resource, without=others)


def _opened(tree: dg.ComponentTree) -> Project:
    """Return the project of the components that are loaded together, which is read once for all.

    Raises:
        PolicyError: the policy cannot be used.
    """
    # By identity: a tree that is loaded anew equals the one before.
    if not _LAST or _LAST[0][0] is not tree:
        _LAST[:] = [(tree, open_project(tree.project_root))]
    return _LAST[0][1]
