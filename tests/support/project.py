"""A project directory of a test's own, and its tools."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import tomli_w
import yaml

from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.tools import Tools, open_tools

ENVIRONMENT = "elt"
_SPEC = f"environments/{ENVIRONMENT}.yml"
_PYTHON = re.compile(r"python(?![\w.-])")


def make_project(
    root: Path,
    *,
    channels: Sequence[str],
    index: str | None,
    conda: Sequence[str] = (),
    pip: Sequence[str] = (),
    policy: Mapping[str, Any] | None = None,
    environment: Mapping[str, Any] | None = None,
    pythons: Sequence[str] = ("3.11",),
) -> Project:
    """Write the policy and the spec of a project with one environment, `elt`, and open it.

    Its store is `root/.elt_env`. Called again on the same root it changes the project, and leaves
    the store as it is.

    Args:
        channels: URLs of the spec's conda channels.
        index: URL of the package index, with credentials if it wants some; None for that of the
            machine's settings.
        conda, pip: the spec's requirements; `python` is added where `conda` has none.
        policy: further keys of `[tool.elt-env]`, as they are written there.
        environment: further keys of `[tool.elt-env.environments.elt]`.
        pythons: the Python minors of the environment.
    """
    write_spec(root, channels=channels, conda=conda, pip=pip)
    own = {"spec": _SPEC, "pythons": list(pythons), **(environment or {})}
    # The base that takes no network and the least time; the warehouse has tests of its own.
    asked = {} if index is None else {"index": index}
    table = {**asked, "image-base": "host", "warehouse": False, **(policy or {})}
    table["environments"] = {ENVIRONMENT: own}
    text = tomli_w.dumps({"tool": {"elt-env": table}})
    (root / "pyproject.toml").write_text(text, encoding="utf-8")
    return open_project(root)


def write_spec(
    root: Path, *, channels: Sequence[str], conda: Sequence[str] = (), pip: Sequence[str] = ()
) -> None:
    """Write the spec of a project anew; `python` is added where `conda` has none."""
    python = [] if any(_PYTHON.match(each) for each in conda) else ["python"]
    listed: list[object] = [*python, *conda]
    if pip:
        listed.append({"pip": list(pip)})
    spec = {"name": ENVIRONMENT, "channels": list(channels), "dependencies": listed}
    path = root / _SPEC
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(spec, sort_keys=False), encoding="utf-8")


def toolbox_of(project: Project, environment: str = ENVIRONMENT) -> Tools:
    """Return the project's tools, as every command opens them."""
    return open_tools(project, environment)


def at_moment(toolbox: Tools, moment: datetime) -> Tools:
    """Return the same tools, with a store whose clock stands."""
    store = copy(toolbox.store)
    store.now = lambda: moment
    return replace(toolbox, store=store)
