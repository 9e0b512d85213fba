"""The real spec, built once from the real index: 3.11 through Dagster, 3.12 by command."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.commands import REPOSITORY, Site, make_site
from tests.support.python_channel import shared_directory
from tests.support.real_spec import copy_project

Run = subprocess.CompletedProcess[str]


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
    # The base that takes no network: making the other one has a test of its own.
    mine = policy.replace("[tool.elt-env]\n", '[tool.elt-env]\nimage-base = "host"\n')
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
    """The first run of `elt_build` for Python 3.11."""
    return _first_runs[0]


@pytest.fixture(scope="session")
def first_command(_first_runs: tuple[Run, Run]) -> Run:
    """The first `elt-env build elt@3.12`."""
    return _first_runs[1]
