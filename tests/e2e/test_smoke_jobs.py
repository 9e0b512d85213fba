"""The smoke jobs of the real environment, run as a person or a scheduler runs them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from elt_env.proof.prove import SMOKE_CHECKS
from elt_env.store.evidence import Evidence
from elt_env.store.locks import Store
from tests.support.commands import Site
from tests.support.real_spec import FailedJob, SmokeJobs

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]


def _evidence(site: Site, target: str) -> dict[str, Evidence]:
    digest = site.show(target)["lock"]["digest"]
    return {each.check: each for each in Store(site.home).evidence(digest)}


def _log(site: Site, evidence: Evidence) -> str:
    return (site.home / evidence.log).read_text()


def test_the_three_jobs_side_by_side(site: Site, smoke_jobs: SmokeJobs) -> None:
    runs = smoke_jobs.runs
    assert [each.returncode for each in runs] == [0, 0, 0], [each.stderr[-3000:] for each in runs]
    found = _evidence(site, "elt@3.12")
    for name in SMOKE_CHECKS:
        assert found[name].status == "passed", found[name]
    packages = site.show("elt@3.12")["lock"]["packages"]
    every = f"{packages} in the lock, {packages} in the source, {packages} in the mart"
    assert f"(1 locks, {packages} packages" in found["meltano_smoke"].detail
    assert every in found["dbt_smoke"].detail
    assert every in found["dagster_smoke"].detail
    through = f"{packages} rows of pandas, {packages} rows of mart"
    assert through in found["dagster_smoke"].detail
    for node in ("snapshot package_versions", "seed families", "unit_test lock_changes"):
        assert f"| {node}" in _log(site, found["dbt_smoke"])
    for part in ("definitions", "code server answers", "schedule and multiprocess"):
        assert f"  {part}: " in _log(site, found["dagster_smoke"])
    assert "RUN_SUCCESS" in _log(site, found["dagster_smoke"])
    assert not list((site.home / "work").glob("*/*"))


def test_the_caller_s_path_and_pythonpath_reach_no_tool(smoke_jobs: SmokeJobs) -> None:
    assert [each.returncode for each in smoke_jobs.runs] == [0, 0, 0]
    assert not smoke_jobs.called.exists(), smoke_jobs.called.read_text()


def test_a_job_whose_dbt_test_fails_ends_with_1_and_names_it(
    failed_job: FailedJob, content: Mapping[str, Any]
) -> None:
    done = failed_job.run
    assert done.returncode == 1, done.stderr[-3000:]
    before = {each["check"]: each["status"] for each in content["evidence"]}
    assert before["dbt_smoke"] == "passed"  # which does not keep the job from looking again
    found = _evidence(failed_job.site, "elt@3.11")["dbt_smoke"]
    assert found.status == "failed"
    assert found.detail.startswith("test nothing_is_locked: fail: Got 1 result")
    assert "dbt_smoke: failed: test nothing_is_locked: fail: Got 1 result" in done.stderr
    assert "| test nothing_is_locked | fail |" in _log(failed_job.site, found).splitlines()[2]
