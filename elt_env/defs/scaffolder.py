"""The files that `dg scaffold defs elt_env.EnvironmentComponent NAME` writes."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg

from elt_env.errors import InputError
from elt_env.runtime.files import write_atomically
from elt_env.start.files import TOOLS, spec_text
from elt_env.start.look import DirectoryContent, look

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
