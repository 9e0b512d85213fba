"""The manifest of a small dbt project, made by the real dbt."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from elt_env.environment.dbt import find_manifest
from elt_env.errors import TimeLimitError, ToolError

_NO_TIME = 0.01  # seconds; dbt takes longer to start
_PROFILES = """
small:
  target: duckdb
  outputs:
    duckdb: {type: duckdb, path: "{{ var('path') }}"}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    root = tmp_path / "dbt"
    (root / "models").mkdir(parents=True)
    (root / "dbt_project.yml").write_text("name: small\nversion: '1.0.0'\nprofile: small\n")
    (root / "profiles.yml").write_text(_PROFILES)
    (root / "models" / "one.sql").write_text("select 1 as one")
    return root


def test_a_manifest_is_made_once_for_a_content(project: Path, tmp_path: Path) -> None:
    cache, given = tmp_path / "cache", {"path": str(tmp_path / "a.duckdb")}
    path = find_manifest(project, cache, given, 120)
    assert "model.small.one" in json.loads(path.read_bytes())["nodes"]
    assert [each.name for each in cache.iterdir()] == [path.parent.name]
    assert not (project / "target").exists()
    (project / "target").mkdir()
    (project / "target" / "left.json").write_text("what a tool left changes nothing")

    assert find_manifest(project, cache, given, _NO_TIME) == path

    with pytest.raises(TimeLimitError):
        find_manifest(project, cache, {"path": str(tmp_path / "b.duckdb")}, _NO_TIME)
    (project / "models" / "two.sql").write_text("select 2 as two")
    with pytest.raises(TimeLimitError):
        find_manifest(project, cache, given, _NO_TIME)


def test_what_dbt_finds_fault_with_is_told(project: Path, tmp_path: Path) -> None:
    (project / "models" / "two.sql").write_text("select * from {{ ref('nobody') }}")
    with pytest.raises(ToolError) as caught:
        find_manifest(project, tmp_path / "cache", {"path": "x"}, 120)
    assert "depends on a node named 'nobody' which was not found" in caught.value.problem
    assert not list((tmp_path / "cache").rglob("manifest.json"))
