"""The files that make a directory a project: a spec, a policy, a workspace for Dagster."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

TOOLS: tuple[str, ...] = ("dbt-duckdb", "meltano", "dagster", "dagster-webserver")
"""What an environment is made of where nothing says what else."""

WORKSPACE = """\
# What `dagster dev -w workspace.yaml` loads.
load_from:
  - python_module:
      module_name: elt_env.definitions
      location_name: elt_env
"""


@dataclass(frozen=True)
class DbtProject:
    """A dbt project that lies in the directory itself.

    Attributes:
        name: of a check that runs it.
        adapter: the distribution of its adapter, as in `dbt-postgres`, or "" when nothing says so.
        has_profile: whether its profile lies beside it, so that it can be run anywhere.
        variables: the environment variables that it and its profile read, sorted.
    """

    name: str
    adapter: str
    has_profile: bool
    variables: tuple[str, ...] = ()


@dataclass(frozen=True)
class Start:
    """What is known of an environment before it has a policy.

    Attributes:
        name: what it is called.
        pythons: the Python minors that it is made for, the first one by default.
        spec: path of its spec, relative to the directory.
        promote: whether what is proven becomes the release by itself.
        dbt: a dbt project that proves it, or None.
    """

    name: str
    pythons: tuple[str, ...]
    spec: str
    promote: bool = True
    dbt: DbtProject | None = None


def spec_text(name: str, python: str, requirements: Sequence[str]) -> str:
    """Return an environment.yml.

    Args:
        name: what the environment is called.
        python: conda's bound on Python, or "".
        requirements: what pip installs, as lines of a requirements file.
    """
    content = {
        "name": name,
        "channels": ["conda-forge"],
        "dependencies": [f"python {python}".strip(), "pip", {"pip": list(requirements)}],
    }
    head = "# Conda's packages, and below `pip:` what pip installs beside them in one command.\n"
    return head + yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def policy_text(start: Start) -> str:
    """Return the table `[tool.elt-env]` of a pyproject.toml."""
    table = f"tool.elt-env.environments.{start.name}"
    lines = [
        "# How environments are locked, proven and released; `elt-env show --settings` lists what",
        "# holds here.",
        "[tool.elt-env]",
        'channel-fallback = "host"  # "none" in production: without its channel nothing is locked',
        "",
        f"[{table}]",
        *_keys(
            {
                "spec": start.spec,
                "pythons": list(start.pythons),
                "promote": "auto" if start.promote else "manual",
            }
        ),
    ]
    if start.dbt is not None and start.dbt.has_profile:
        lines += ["", f"[{table}.checks.{start.dbt.name}]", *_dbt_keys(start.dbt)]
    return "\n".join(lines) + "\n"


def _dbt_keys(project: DbtProject) -> list[str]:
    more = {"environment": list(project.variables)} if project.variables else {}
    lines = _keys({"kind": "dbt", "project": ".", "run": "parse", **more})
    lines[2] += '  # "build --target ci" proves more, where there is a database for it'
    return lines


def _keys(table: Mapping[str, object]) -> list[str]:
    # What JSON makes of a text or a list of texts is TOML as well.
    return [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
