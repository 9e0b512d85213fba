"""A follower of an environment without conda, of which it knows no more than the lock says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.follow.as_prefix import AsPrefix
from elt_env.follow.follow import follow
from elt_env.follow.machine import open_machine
from elt_env.lock.make import lock
from elt_env.project.settings import open_project
from elt_env.release.promote import promote
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, PYTHON, target_of
from tests.support.project import make_project, toolbox_of
from tests.support.proving import pretend_proven
from tests.support.sample import silent
from tests.support.wheels import make_wheel

_LIMIT = 60.0


def test_a_venv_is_made_as_its_lock_says(
    index: IndexServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"tool/__init__.py": "def main():\n    import sys\n    print(sys.prefix)\n"}
    points = {"tool": "tool:main"}
    index.add(
        make_wheel(tmp_path, "tool", "1.0", files=files, entry_points=points), uploaded=LONG_AGO
    )
    tools = toolbox_of(
        make_project(
            tmp_path / "project",
            channels=["https://conda.example.invalid/forge"],  # which nobody asks
            index=index.url,
            pip=["tool"],
            pythons=[PYTHON],
            environment={"python": "venv"},
        )
    )
    made = lock(target_of(tools), tools, silent).lock
    ensure_prefix(made, tools, silent)
    pretend_proven(made, tools)
    promote(made.target, tools, silent, trigger="", by="")
    own = tmp_path / "machine"
    own.mkdir()
    monkeypatch.setenv("ELT_ENV_PROJECT", str(own))
    for _ in range(2):
        machine = open_machine("elt", str(tools.store.local_home), "0" * 16, reports=False)
        followed = follow(machine, silent)
    assert not followed.moved
    done = subprocess.run(
        [Path(AsPrefix().place(machine)) / "tool"],
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=True,
    )
    assert done.stdout.startswith(str(own))
    assert open_project(own).unlisted["elt"].python == "venv"
