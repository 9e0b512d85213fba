"""The web UI, used as a person uses it: everything that is done here is clicked or typed.

One UI for all, which goes on from what the tests before have done; so they are run in this order.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from elt_env.proof.prove import HEALTH_CHECKS, SMOKE_CHECKS
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store
from tests.support.commands import REPOSITORY, Site
from tests.support.python_channel import shared_directory
from tests.support.real_spec import copy_project
from tests.support.web_ui import WebUi, add_make, button, has_browser, wait_until, web_ui

pytestmark = [
    pytest.mark.registry,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("web-ui"),
    pytest.mark.skipif(not has_browser(), reason="chromium is not there: make system-tools"),
]

_SMALL = "name: elt\nchannels: [conda-forge]\ndependencies: [python, pip, {pip: [six]}]\n"
_JOBS = "/locations/elt_env/jobs"
# An own check that takes as long as a file is there.
_HOLD = """
[tool.elt-env.environments.elt.checks.hold]
kind = "command"
run = "sh -c 'while [ -e {file} ]; do sleep 0.2; done'"
"""

_LATEST = """
query Latest($asset: AssetKeyInput!, $check: String!) {
  assetCheckExecutions(assetKey: $asset, checkName: $check, limit: 1) {
    status
    evaluation {
      success severity partition description
      metadataEntries {
        label
        ... on IntMetadataEntry { intValue }
        ... on PathMetadataEntry { path }
        ... on MarkdownMetadataEntry { mdStr }
        ... on TableMetadataEntry { table { records } }
      }
    }
  }
}
"""

_MADE = """
query Made {
  assetOrError(assetKey: {path: ["elt", "release"]}) {
    ... on Asset {
      assetMaterializations(limit: 1) {
        metadataEntries { label ... on TextMetadataEntry { text } }
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The repository's policy and its `dbt-only`; its `elt` is a small one."""
    project = copy_project(REPOSITORY, shared_directory(tmp_path_factory) / "clicked")
    policy = (project / "pyproject.toml").read_text()
    # The base that takes no network; the warehouse, which takes its time to load, has its own.
    mine = policy.replace(
        "[tool.elt-env]\n",
        '[tool.elt-env]\nimage-base = "host"\nwarehouse = false\n',
    )
    (project / "pyproject.toml").write_text(mine + _HOLD.format(file=project / "hold"))
    (project / "environments" / "elt.yml").write_text(_SMALL)
    add_make(project)
    return Site(project, project / ".elt_env", project / ".dagster")


@pytest.fixture(scope="module")
def ui(site: Site) -> Iterator[WebUi]:
    with web_ui(site) as running:
        yield running


def _release(site: Site, target: str) -> str:
    release = site.show(target)["release"]
    return str(release["current"]) if release else ""


def _latest(ui: WebUi, environment: str, check: str) -> dict[str, Any]:
    asset = {"path": [environment, "image" if check.startswith("image") else "environment"]}
    found = ui.ask(_LATEST, asset=asset, check=check)["assetCheckExecutions"]
    return dict(found[0]["evaluation"] or {}) if found else {}


def _shown_release(ui: WebUi) -> str:
    """Return the digest that the release's latest materialization names."""
    made = ui.ask(_MADE)["assetOrError"]["assetMaterializations"]
    entries = made[0]["metadataEntries"] if made else ()
    return next((each["text"] for each in entries if each["label"] == "digest"), "")


def test_a_lockfile_alone_brings_environment_image_and_release(ui: WebUi, site: Site) -> None:
    run = ui.materialize("/assets/dbt-only/lockfile", "3.12")
    assert ui.wait(run) == "SUCCESS"
    wait_until(lambda: _release(site, "dbt-only@3.12"), "the release")
    content = site.show("dbt-only@3.12")
    assert content["release"]["current"] == content["lock"]["digest"]
    status = {each["check"]: each["status"] for each in content["evidence"]}
    assert (status["dbt_smoke"], status["meltano_smoke"]) == ("passed", "not_run")

    page = ui.go("/assets/dbt-only/release")
    page.get_by_text(content["lock"]["digest"]).first.wait_for()
    page = ui.go("/assets/dbt-only/environment?view=checks")
    page.get_by_text("meltano_smoke").first.wait_for()
    page.get_by_text("Succeeded").first.wait_for()
    assert not page.get_by_text("Failed").count()


def test_a_run_is_cancelled_in_any_step_and_goes_on_where_it_was(ui: WebUi, site: Site) -> None:
    release_lock = site.home / "releases" / ".elt@3.12.lock"
    channel = site.home / "host-channel" / "1" / ".lock"
    hold = site.directory / "hold"
    with FileLock(channel):
        run = ui.materialize(f"{_JOBS}/elt_build", "3.12")
        ui.wait_for_step(run, "solve_conda")
        assert ui.terminate(run) == "CANCELED"
    hold.touch()
    run = ui.re_execute(run)
    ui.wait_for_step(run, "elt__environment__prove")
    wait_until(lambda: _latest(ui, "elt", "pip_check").get("success"), "a result")
    assert ui.terminate(run) == "CANCELED"
    # What was known before is not lost.
    assert _latest(ui, "elt", "pip_check")["success"]
    hold.unlink()
    with FileLock(release_lock):
        run = ui.re_execute(run)
        ui.wait_for_step(run, "move_release")
        assert ui.terminate(run) == "CANCELED"
    assert not _release(site, "elt@3.12")
    assert ui.wait(ui.re_execute(run)) == "SUCCESS"
    content = site.show("elt@3.12")
    assert content["release"]["current"] == content["lock"]["digest"]


@pytest.mark.parametrize("job", [*SMOKE_CHECKS, "health"])
def test_a_job_of_checks_runs_for_the_python_that_is_picked(
    ui: WebUi, site: Site, job: str
) -> None:
    before = {each["check"]: each["at"] for each in site.show("elt@3.12")["evidence"]}
    assert ui.wait(ui.materialize(f"{_JOBS}/elt_{job}", "3.12")) == "SUCCESS"
    after = {each["check"]: each["at"] for each in site.show("elt@3.12")["evidence"]}
    looked = {name for name, at in after.items() if at != before.get(name)}
    assert looked == ({*HEALTH_CHECKS, "hold"} if job == "health" else {job})
    for name in looked:
        found = _latest(ui, "elt", name)
        assert (found["success"], found["partition"]) == (True, "3.12"), found


def test_all_checks_run_from_their_tab_on_what_is_built(ui: WebUi) -> None:
    page = ui.go("/assets/elt/environment?view=checks")
    run = ui.launched_by(button(page, "Execute all"))
    assert ui.wait(run) == "SUCCESS"
    found = _latest(ui, "elt", "pip_check")
    assert found["success"], found
    page.get_by_text("Succeeded").first.wait_for()
    assert not page.get_by_text("Failed").count()


def test_a_failed_dbt_test_is_told_with_its_message_and_every_node(ui: WebUi, site: Site) -> None:
    planted = site.directory / "dbt_project" / "tests" / "nothing_is_locked.sql"
    planted.write_text("select * from {{ ref('stg_locks') }}")
    run = ui.materialize(f"{_JOBS}/dbt_only_dbt_smoke", "3.12")
    assert ui.wait(run) == "FAILURE"
    found = _latest(ui, "dbt-only", "dbt_smoke")
    assert (found["success"], found["severity"], found["partition"]) == (False, "ERROR", "3.12")
    assert found["description"].startswith("test nothing_is_locked: fail: Got 1 result")
    shown = {each["label"]: each for each in found["metadataEntries"]}
    assert shown["faulty_nodes"]["intValue"] == 1
    nodes = [json.loads(each) for each in shown["node_results"]["table"]["records"]]
    assert len(nodes) == shown["nodes"]["intValue"]
    assert nodes[0]["node"] == "nothing_is_locked"
    assert (nodes[0]["type"], nodes[0]["status"]) == ("test", "fail")
    assert nodes[0]["message"].startswith("Got 1 result")
    assert "dbt: " in shown["log_tail"]["mdStr"]
    assert Path(shown["log"]["path"]).is_file()
    page = ui.go("/assets/dbt-only/environment?view=checks&checkDetail=dbt_smoke")
    page.get_by_text("Got 1 result, configured to fail if != 0").first.wait_for()

    planted.unlink()
    assert ui.wait(ui.re_execute(run)) == "SUCCESS"
    assert _latest(ui, "dbt-only", "dbt_smoke")["success"]


def test_a_release_goes_back_and_forth_for_the_reason_that_is_typed(ui: WebUi, site: Site) -> None:
    first = _release(site, "elt@3.12")
    # The spec's sensor sees to the rest.
    (site.directory / "environments" / "elt.yml").write_text(_SMALL.replace("six", "six, toolz"))
    wait_until(lambda: _release(site, "elt@3.12") not in ("", first), "the next release")
    second = _release(site, "elt@3.12")

    run = ui.fill_in("rollback", "elt@3.12", why="toolz is not wanted")
    assert ui.wait(run) == "SUCCESS"
    assert _release(site, "elt@3.12") == first
    run = ui.fill_in("promote", "elt@3.12", why="toolz is wanted")
    assert ui.wait(run) == "SUCCESS"
    assert _release(site, "elt@3.12") == second
    history = ReleaseStore(Store(site.home)).history("elt@3.12")
    assert [each.trigger for each in history[-2:]] == ["toolz is not wanted", "toolz is wanted"]
    page = ui.go("/assets/elt/release")
    page.get_by_text("toolz is wanted, by job promote").first.wait_for()


def test_one_page_tells_of_every_environment(ui: WebUi) -> None:
    page = ui.go("/assets/overview")
    for text in ("what waits, and why it does not come", "elt@3.11", "nothing is locked yet"):
        page.get_by_text(text, exact=True).first.wait_for()


def test_what_the_command_line_did_is_seen(ui: WebUi, site: Site) -> None:
    done = site.elt_env("rollback", "elt@3.12")
    assert done.returncode == 0, done.stderr
    digest = _release(site, "elt@3.12")
    wait_until(lambda: _shown_release(ui) == digest, "the release in the UI")
    page = ui.go("/assets/elt/release")
    page.get_by_text(digest).first.wait_for()
    page.get_by_text("rolled back").first.wait_for()
