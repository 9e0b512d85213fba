"""The real spec, built once from the real index through Dagster."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.support.commands import REPOSITORY, Site, make_site


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The repository's own policy and spec, with a store and an instance of the tests' own."""
    root = tmp_path_factory.mktemp("real")
    project = root / "project"
    project.mkdir()
    for name in ("pyproject.toml", "workspace.yaml", "environments", "dbt_project", "meltano"):
        source = REPOSITORY / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, project / name)
    return make_site(root, project)


@pytest.fixture(scope="session")
def first_run(site: Site) -> subprocess.CompletedProcess[str]:
    """The first run of `elt_build` for Python 3.11."""
    return site.execute("elt_build", "3.11")
