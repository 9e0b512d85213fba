"""The real spec, built once from the real index: 3.11 through Dagster, 3.12 by command.

What is built is dear, so each thing is done once, and several tests look at what came of it.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import yaml

from elt_env.proof.prove import SMOKE_CHECKS
from tests.support.commands import REPOSITORY, Site, make_site
from tests.support.python_channel import shared_directory
from tests.support.real_spec import FailedJob, Run, SmokeJobs, copy_project, copy_store

# What every Python runs first that looks where PYTHONPATH points to, but for this project's own.
_SPY = """\
import sys
if sys.prefix != {own!r}:
    with open({called!r}, "a") as file:
        print("PYTHONPATH reaches", sys.executable, *sys.argv, file=file)
"""


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The repository's own policy and spec, with a store and an instance of the tests' own."""
    root = shared_directory(tmp_path_factory) / "real"
    try:
        root.mkdir()
    except FileExistsError:
        # https://github.com/pytest-dev/pytest-xdist/issues/1386
        pytest.fail("two workers build the real spec: pytest-xdist does not heed xdist_group")
    project = copy_project(REPOSITORY, root / "project")
    policy = (project / "pyproject.toml").read_text()
    # The base that takes no network; making the other one has a test of its own, and so have the
    # warehouse's definitions, which take their time to load. Nothing begins by itself.
    mine = policy.replace(
        "[tool.elt-env]\n",
        '[tool.elt-env]\nproject-name = "example"\n'
        'image-base = "host"\nwarehouse = false\nwatch = false\n',
    )
    (project / "pyproject.toml").write_text(mine)
    return make_site(root, project)


@pytest.fixture(scope="session")
def _first_runs(site: Site) -> tuple[Run, Run]:
    """The first build for either Python, side by side in one store."""
    with ThreadPoolExecutor(2) as pool:
        job = pool.submit(site.execute, "elt_build", "3.11")
        command = pool.submit(site.elt_env, "build", "elt@3.12")
        return job.result(), command.result()


@pytest.fixture(scope="session")
def first_run(_first_runs: tuple[Run, Run]) -> Run:
    """The first run of `elt_build` for Python 3.11; it went well."""
    assert _first_runs[0].returncode == 0, _first_runs[0].stderr[-5000:]
    return _first_runs[0]


@pytest.fixture(scope="session")
def first_command(_first_runs: tuple[Run, Run]) -> Run:
    """The first `elt-env build elt@3.12`; it went well."""
    assert _first_runs[1].returncode == 0, _first_runs[1].stderr[-5000:]
    return _first_runs[1]


@pytest.fixture(scope="session")
def content(site: Site, first_run: Run) -> Mapping[str, Any]:
    """What `elt-env show elt@3.11 --json` told after the first run."""
    del first_run
    return site.show("elt@3.11")


@pytest.fixture(scope="session")
def smoke_jobs(
    site: Site, first_command: Run, tmp_path_factory: pytest.TempPathFactory
) -> SmokeJobs:
    """The smoke jobs where tools of the same names come first on PATH, and PYTHONPATH leads astray.

    3.12 was built and not proven, so what they find is the first evidence.
    """
    del first_command
    place = tmp_path_factory.mktemp("astray")
    called = place / "called"
    for name in ("dbt", "meltano", "dagster", "duckdb", "uv"):
        program = place / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(f"#!/bin/sh\necho program {name} >> '{called}'\n")
        program.chmod(0o755)
    modules = place / "modules"
    modules.mkdir()
    (modules / "sitecustomize.py").write_text(_SPY.format(own=sys.prefix, called=str(called)))
    variables = {
        "PATH": f"{place / 'bin'}:{os.environ['PATH']}",
        "PYTHONPATH": f"{modules}:{REPOSITORY}",
        "DBT_PROFILES_DIR": str(place),
        "MELTANO_PROJECT_ROOT": str(place),
    }
    with ThreadPoolExecutor(len(SMOKE_CHECKS)) as pool:
        jobs = [
            pool.submit(site.execute, f"elt_{name}", "3.12", variables) for name in SMOKE_CHECKS
        ]
        return SmokeJobs([job.result() for job in jobs], called)


@pytest.fixture(scope="session")
def failed_job(
    site: Site, content: Mapping[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> FailedJob:
    """The job on a copy of the store, whose evidence says that the check passed."""
    del content
    root = tmp_path_factory.mktemp("failing")
    project = copy_project(site.directory, root / "project")
    planted = project / "dbt_project" / "tests" / "nothing_is_locked.sql"
    planted.write_text("select * from {{ ref('stg_locks') }}")
    broken = make_site(root, project)
    copy_store(site.home, broken.home, "elt@3.11")
    for part in ("evidence", "logs"):
        shutil.copytree(site.home / part, broken.home / part)
    return FailedJob(broken, broken.execute("elt_dbt_smoke", "3.11"))


@pytest.fixture(scope="session")
def _elsewhere(site: Site, tmp_path_factory: pytest.TempPathFactory) -> tuple[Site, str]:
    root = tmp_path_factory.mktemp("elsewhere") / "a longer path than the first"
    project = copy_project(site.directory, root / "project")
    path = project / "environments" / "elt.yml"
    spec = yaml.safe_load(path.read_text())
    spec["dependencies"] = list(reversed(spec["dependencies"]))
    path.write_text(yaml.safe_dump(spec))
    made = replace(make_site(root, project), home=project / ".elt_env")
    done = made.elt_env("lock", "elt@3.11")
    assert done.returncode == 0, done.stderr[-5000:]
    return made, made.show("elt@3.11")["lock"]["digest"]


@pytest.fixture(scope="session")
def elsewhere(_elsewhere: tuple[Site, str]) -> Site:
    """The same project under a longer path, its spec in another order, with a store of its own.

    There is a lock of 3.11 in it.
    """
    return _elsewhere[0]


@pytest.fixture(scope="session")
def first_lock_elsewhere(_elsewhere: tuple[Site, str]) -> str:
    """The digest of the lock that was made there first; tests make others."""
    return _elsewhere[1]
