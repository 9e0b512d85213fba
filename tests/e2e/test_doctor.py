"""Every health check on the environments that the real spec gives."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from elt_env.proof.prove import HEALTH_CHECKS
from tests.support.commands import Site
from tests.support.real_spec import unwarned

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

_TARGETS = ("elt@3.11", "elt@3.12")


@pytest.mark.usefixtures("smoke_jobs")  # what they find for 3.12 holds
def test_all_checks_pass_for_either_python(
    site: Site, first_run: subprocess.CompletedProcess[str]
) -> None:
    del first_run
    with ThreadPoolExecutor(len(_TARGETS)) as pool:
        runs = list(pool.map(lambda target: site.elt_env("doctor", target), _TARGETS))

    for target, done in zip(_TARGETS, runs, strict=True):
        assert done.returncode == 0, done.stderr[-5000:]
        evidence = {each["check"]: each for each in site.show(target)["evidence"]}
        statuses = {name: evidence[name]["status"] for name in HEALTH_CHECKS}
        assert unwarned(statuses) == dict.fromkeys(HEALTH_CHECKS, "passed"), evidence
        assert all(each["seconds"] > 0 and each["detail"] for each in evidence.values())
        rows = [line.split()[:2] for line in done.stdout.splitlines()]
        assert all([name, status] in rows for name, status in statuses.items()), done.stdout
