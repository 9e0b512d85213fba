"""The smoke jobs of the real environment, run as a person or a scheduler runs them."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from elt_env.model.evidence import Evidence
from elt_env.stages.prove import SMOKE_CHECKS
from elt_env.tools.store import Store
from tests.support.commands import Site
from tests.support.real_spec import copy_project, copy_store

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.xdist_group("e2e")]

_TARGET = "elt@3.11"


def _evidence(site: Site) -> dict[str, Evidence]:
    digest = site.show(_TARGET)["lock"]["digest"]
    return {each.check: each for each in Store(site.home).evidence(digest)}


def _log(site: Site, evidence: Evidence) -> str:
    return (site.home / evidence.log).read_text()


def test_the_three_jobs_side_by_side(
    site: Site, first_run: subprocess.CompletedProcess[str]
) -> None:
    assert first_run.returncode == 0, first_run.stderr[-5000:]
    before = _evidence(site)

    with ThreadPoolExecutor(len(SMOKE_CHECKS)) as pool:
        runs = list(pool.map(lambda name: site.execute(f"elt_{name}", "3.11"), SMOKE_CHECKS))

    assert [each.returncode for each in runs] == [0, 0, 0], [each.stderr[-3000:] for each in runs]
    found = _evidence(site)
    for name in SMOKE_CHECKS:
        assert found[name].status == "passed", found[name]
        assert found[name].at > before[name].at
    packages = site.show(_TARGET)["lock"]["packages"]
    every = f"{packages} in the lock, {packages} in the source, {packages} in the mart"
    assert f"(1 locks, {packages} packages, " in found["meltano_smoke"].detail
    assert every in found["dbt_smoke"].detail
    assert every in found["dagster_smoke"].detail
    through = f"{packages} rows of pandas, {packages} rows of mart"
    assert through in found["dagster_smoke"].detail
    for node in ("snapshot package_versions", "seed families", "unit_test lock_changes"):
        assert f"| {node}" in _log(site, found["dbt_smoke"])
    for words in ("Validation successful", "RUN_SUCCESS"):
        assert words in _log(site, found["dagster_smoke"])
    assert not list((site.home / "work").glob("*/*"))


def test_a_job_whose_dbt_test_fails_ends_with_1_and_names_it(
    site: Site, first_run: subprocess.CompletedProcess[str], tmp_path: Path
) -> None:
    assert first_run.returncode == 0, first_run.stderr[-5000:]
    project = copy_project(site.directory, tmp_path / "project")
    planted = project / "dbt_project" / "tests" / "nothing_is_locked.sql"
    planted.write_text("select * from {{ ref('stg_locks') }}")
    home = copy_store(site.home, tmp_path / "home", _TARGET)
    broken = Site(project, home, site.dagster_home)

    done = broken.execute("elt_dbt_smoke", "3.11")

    assert done.returncode == 1, done.stderr[-3000:]
    (found,) = _evidence(broken).values()
    assert (found.check, found.status) == ("dbt_smoke", "failed")
    assert found.detail.startswith("test nothing_is_locked: fail: Got 1 result")
    assert "dbt_smoke: failed: test nothing_is_locked: fail: Got 1 result" in done.stderr
    assert "| test nothing_is_locked | fail |" in _log(broken, found).splitlines()[2]
