"""A team's code location on the release, through an upgrade and a roll back, while it ticks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.lock.make import lock
from elt_env.machine.platform import target_here
from elt_env.project.settings import open_project
from tests.support.commands import REPOSITORY, Site, make_site
from tests.support.project import toolbox_of
from tests.support.said import Said
from tests.support.web_ui import WebUi, button, has_browser, wait_until, web_ui

# On a worker of their own: their spec is small, and its Dagster a real one.
pytestmark = [
    pytest.mark.registry,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("code-location"),
    pytest.mark.skipif(not has_browser(), reason="chromium is not there: make system-tools"),
]

_TARGET = "elt@3.11"
_NOBODY = "http://127.0.0.1:9"
_WORKSPACE = "examples/analytics/workspace.yaml"
_POLICY = """
[tool.elt-env]
image-base = "host"
channel-fallback = "host"
warehouse = false
watch = false

[tool.elt-env.environments.elt]
spec = "environment.yml"
pythons = ["3.11"]
required-checks = ["pip_check"]

[tool.elt-env.environments.elt.reload-locations]
"${WEBSERVER}" = ["analytics", "reports"]
"""
_SPEC = """
name: elt
channels: [conda-forge]
dependencies:
  - python
  - pip: [dagster, dagster-dbt, "dbt-core<1.12", dbt-duckdb, six=={six}]
"""
_HELD = '''

@dg.asset
def held() -> dg.MaterializeResult:
    """Takes as long as a file is there."""
    import time
    from importlib.metadata import version

    while Path({file!r}).exists():
        time.sleep(0.2)
    return dg.MaterializeResult(metadata={{"environment": sys.prefix, "six": version("six")}})


defs = dg.Definitions.merge(defs, dg.Definitions(assets=[held]))
'''
_MADE = """
query Made($asset: AssetKeyInput!) {
  assetOrError(assetKey: $asset) {
    ... on Asset {
      assetMaterializations(limit: 1) {
        runId
        metadataEntries { label ... on TextMetadataEntry { text } }
      }
    }
  }
}
"""
_RUNS = """
{
  runsOrError(limit: 50, filter: {statuses: [SUCCESS]}) {
    ... on Runs { results { runId tags { key } } }
  }
}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """The example beside a small environment, which is released."""
    root = tmp_path_factory.mktemp("team")
    project = root / "project"
    shutil.copytree(REPOSITORY / "examples", project / "examples")
    (project / "pyproject.toml").write_text(_POLICY)
    with (project / "examples/analytics/definitions.py").open("a") as file:
        file.write(_HELD.format(file=str(project / "hold")))
    return replace(make_site(root, project), home=project / ".elt_env")


@pytest.fixture(scope="module")
def prefixes(site: Site) -> tuple[Path, Path]:
    """The prefixes of the first release, and of the lock that is to be the next."""
    first = _build(site, "1.16.0")
    _move(site, _NOBODY, "promote", _TARGET)
    return first, _build(site, "1.17.0")


@pytest.fixture(scope="module")
def ui(site: Site, prefixes: tuple[Path, Path]) -> Iterator[WebUi]:
    assert prefixes[0] != prefixes[1]
    dev = ["-w", _WORKSPACE, "--use-legacy-code-server-behavior"]
    with web_ui(site, dev=dev) as running:
        yield running


def _build(site: Site, six: str) -> Path:
    """Build and prove the environment with that version of six; return its prefix.

    By its steps: of the checks, one is run.
    """
    (site.directory / "environment.yml").write_text(_SPEC.format(six=six))
    toolbox = toolbox_of(open_project(site.directory))
    locked = lock(target_here("elt", "3.11"), toolbox, Said()).lock
    prefix = ensure_prefix(locked, toolbox, Said())
    done = site.elt_env("doctor", _TARGET, "--check", "pip_check")
    assert done.returncode == 0, done.stderr[-5000:]
    return prefix.path


def _move(site: Site, webserver: str, *arguments: str) -> None:
    """Run what moves the release; the locations of a webserver that is there are reloaded."""
    done = site.elt_env(*arguments, variables={"WEBSERVER": webserver})
    assert done.returncode == 0, done.stderr[-5000:]
    said = "was not reloaded" if webserver == _NOBODY else "was reloaded"
    for each in ("analytics", "reports"):
        assert f"the code location '{each}' {said}" in done.stderr, done.stderr[-5000:]


def _made(ui: WebUi, asset: str) -> dict[str, str]:
    """Return the texts that the latest materialization of an asset carries, and its run."""
    found = ui.ask(_MADE, asset={"path": [asset]})["assetOrError"]
    for each in found.get("assetMaterializations", ()):
        texts = {entry["label"]: entry.get("text", "") for entry in each["metadataEntries"]}
        return {**texts, "run": str(each["runId"])}
    return {}


def _scheduled(ui: WebUi) -> set[str]:
    """Return the runs of the schedule that went well."""
    found = ui.ask(_RUNS)["runsOrError"]["results"]
    return {
        each["runId"]
        for each in found
        if "dagster/schedule_name" in {tag["key"] for tag in each["tags"]}
    }


def _ticks(ui: WebUi, prefix: Path) -> None:
    """Wait until a run of the schedule has gone well in an environment.

    The daemon, which launches what is in the queue, starts its code servers anew now and then.
    """

    def has() -> bool:
        made = _made(ui, "best_day")
        return made.get("environment") == str(prefix) and made["run"] in _scheduled(ui)

    wait_until(has, f"a tick with {prefix}")


def _click(ui: WebUi, asset: str) -> str:
    """Materialize an asset by the button of its page; return the run."""
    page = ui.go(f"/assets/{asset}")
    return ui.launched_by(button(page, "Materialize").first)


def _clicked(ui: WebUi, asset: str) -> str:
    """Materialize an asset; return the environment that it was made in."""
    run = _click(ui, asset)
    assert ui.wait(run) == "SUCCESS"
    made = _made(ui, asset)
    assert made["run"] == run
    ui.go(f"/assets/{asset}").get_by_text(made["environment"]).first.wait_for()
    return made["environment"]


def test_runs_go_on_with_their_release_and_new_ones_get_the_next(
    site: Site, prefixes: tuple[Path, Path], ui: WebUi, tmp_path: Path
) -> None:
    first, second = prefixes
    page = ui.go("/locations/analytics/schedules/every_minute")
    page.locator("label:has(input[type=checkbox]), button[role=switch]").first.click()
    _ticks(ui, first)
    ui.picture(tmp_path / "schedule.png")
    hold = site.directory / "hold"
    hold.touch()
    under_way = _click(ui, "held")
    ui.wait_for_step(under_way, "held")

    _move(site, ui.url, "promote", _TARGET)
    assert _clicked(ui, "orders_report") == str(second)
    _ticks(ui, second)
    ui.go("/assets/best_day").get_by_text(str(second)).first.wait_for()
    ui.picture(tmp_path / "upgraded.png")

    assert ui.status(under_way) == "STARTED"
    hold.unlink()
    assert ui.wait(under_way) == "SUCCESS"
    held = _made(ui, "held")
    assert (held["environment"], held["six"]) == (str(first), "1.16.0")
    assert _clicked(ui, "held") == str(second)

    _move(site, ui.url, "rollback", _TARGET)
    _ticks(ui, first)
    assert _clicked(ui, "held") == str(first)
    ui.go("/locations/analytics/schedules/every_minute")
    ui.picture(tmp_path / "rolled-back.png")
