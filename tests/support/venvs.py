"""Environments without conda, of a tool that prints where it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elt_env.lock.make import lock
from elt_env.lockfile.document import Lock
from elt_env.tools import Tools
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, target_of
from tests.support.project import make_project, toolbox_of
from tests.support.sample import silent
from tests.support.wheels import make_wheel


def offer_tool(index: IndexServer, wheels: Path) -> IndexServer:
    """Let an index have `tool` and what it needs."""
    program = {"tool/__init__.py": "def main():\n    import sys\n    print(sys.prefix)\n"}
    for name, requires, files in (("tool", ["part"], program), ("part", [], None)):
        points = {"tool": "tool:main"} if files else None
        wheel = make_wheel(wheels, name, "1.0", requires=requires, files=files, entry_points=points)
        index.add(wheel, uploaded=LONG_AGO)
    return index


def open_venv(
    root: Path,
    index: IndexServer,
    *,
    conda: Sequence[str] = (),
    policy: Mapping[str, Any] | None = None,
    **environment: Any,
) -> Tools:
    """Return the tools of a project below `root` whose environment is a venv with `tool`."""
    own = {"python": "venv", **environment}
    channels = ["https://conda.example.invalid/forge"]  # which nobody asks
    project = make_project(
        root / "project",
        channels=channels,
        index=index.url,
        conda=conda,
        pip=["tool"],
        policy=policy,
        environment=own,
    )
    return toolbox_of(project)


def locked(toolbox: Tools) -> Lock:
    """Return the lock of the project's environment."""
    return lock(target_of(toolbox), toolbox, silent).lock
