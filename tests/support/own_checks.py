"""Small environments for a team's own checks, with this project's own dbt, Dagster and pytest.

What stands in for a distribution hands its arguments on to the program of the interpreter that runs
the tests, so that real tools run and nothing has to be downloaded.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elt_env.environment.build import ensure_prefix
from elt_env.lockfile.document import Lock
from elt_env.package.target import Target
from elt_env.tools import Tools
from tests.support.index_server import dead_url
from tests.support.project import make_project, toolbox_of
from tests.support.sample import Sample, silent
from tests.support.wheels import make_wheel

_PROGRAM = """\
import os, sys
def main():
    program = {program!r}
    # What it compiles may be kept: it lies in no prefix.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.execv(program, [program, *{first!r}, *sys.argv[1:]])
"""
_MODULE = """\
import importlib, sys
sys.path.insert(0, {places!r})
del sys.modules[__name__]
importlib.import_module(__name__)
"""


def offer_tools(sample: Sample) -> None:
    """Offer `dbt-core`, `dagster` and `pytest` on the sample's index."""
    here = Path(sys.executable)
    imported = _MODULE.format(places=sysconfig.get_path("purelib"))
    for name, module in (("dbt-core", "dbt"), ("dagster", "dagster")):
        code = _PROGRAM.format(program=str(here.with_name(module)), first=())
        scripts = {module: f"{module}_stand_in:main"}
        files = {f"{module}_stand_in.py": code, f"{module}/__init__.py": imported}
        _offer(sample, name, files, entry_points=scripts)
    code = _PROGRAM.format(program=str(here), first=("-m", "pytest"))
    _offer(
        sample,
        "pytest",
        {"pytest/__init__.py": code, "pytest/__main__.py": "from pytest import main\nmain()\n"},
    )


def _offer(sample: Sample, name: str, files: Mapping[str, str], **more: Any) -> None:
    """Offer a version of a distribution that is newer than what other tests offer of it."""
    sample.index.add(make_wheel(sample.root / "wheels", name, "9.0", files=files, **more))


def own_toolbox(root: Path, lock: Lock, checks: Mapping[str, Mapping[str, Any]]) -> Tools:
    """Return the tools of a project with these checks, in which the lock is built and current.

    Called again on the same root it changes the checks.
    """
    project = make_project(
        root,
        channels=["https://channel.invalid"],
        index=dead_url(),
        environment={"checks": {name: dict(each) for name, each in checks.items()}},
        pythons=[lock.target.python],
    )
    toolbox = toolbox_of(project)
    ensure_prefix(lock, toolbox, silent)
    target: Target = lock.target
    if toolbox.store.pointer(target) is None:
        toolbox.store.write_lock(lock)
        toolbox.store.set_current(target, lock.digest, lock.locked_at)
    return toolbox
