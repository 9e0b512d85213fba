"""Dagster alone, part by part, and what breaks one of them."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.proof.checks.smoke_dagster import dagster_smoke, postgres_programs
from elt_env.tools import Tools
from tests.support.overlay import make_overlay, plant
from tests.support.proving import toolbox_at
from tests.support.sample import silent

pytestmark = pytest.mark.slow

_LIBRARY = """\
from dagster_shared.libraries import DagsterLibraryRegistry

DagsterLibraryRegistry.register("dagster-elsewhere", "{version}")
"""


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    return make_overlay(tmp_path / "prefix", "dagster", "dagster-webserver", "dagster-elsewhere")


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    return toolbox_at(tmp_path / "project")


def test_every_part_works(prefix: Prefix, toolbox: Tools) -> None:
    finding = dagster_smoke(prefix, toolbox, silent)
    assert finding.status == "passed", finding
    for part in (
        "family (2 libraries belong together)",
        "definitions",
        "in process (2 assets)",
        "code server answers",
        "the schedule ticked, its run succeeded, the daemon ended",
        "webserver (GraphQL answers as",
    ):
        assert part in finding.detail


def test_what_of_the_family_belongs_to_another_dagster_is_named(
    prefix: Prefix, toolbox: Tools
) -> None:
    # 1.13.27 and 0.29.27 belong together; this one is a minor behind.
    _, minor, patch = map(int, importlib.metadata.version("dagster").split("."))
    version = f"0.{minor + 15}.{patch}"
    plant(prefix, "dagster_elsewhere/__init__.py", _LIBRARY.format(version=version))
    # With a webserver that does not start, so that several parts are named.
    plant(prefix, "dagster_webserver/cli.py", "raise RuntimeError('planted')")
    finding = dagster_smoke(prefix, toolbox, silent)
    assert finding.status == "failed"
    assert "family: Found version mismatch" in finding.detail
    assert "dagster-elsewhere" in finding.detail
    assert f"({version})" in finding.detail
    assert "webserver: the webserver ended with exit code 1" in finding.detail


def test_the_programs_of_postgresql_are_found_where_they_are(tmp_path: Path) -> None:
    for name in ("initdb", "postgres"):
        (tmp_path / name).touch(mode=0o755)
    assert postgres_programs(str(tmp_path)) == tmp_path
