from __future__ import annotations

import json
from pathlib import Path

import pytest

from elt_env.environment.meltano_file import read_meltano
from elt_env.errors import SpecError

_MAIN = """
include_paths: [./extra/*.yml]
plugins:
  extractors:
  - name: tap-own
    pip_url: -e .
    executable: own-tap
    config: {since: 2026-01-01}
  - name: tap-own--eu
    inherit_from: tap-own
  - name: tap-hub
    variant: meltanolabs
  - name: tap-script
    executable: ./tap.py
jobs:
- name: daily
  tasks: [tap-own target-x]
"""
_MORE = "plugins: {loaders: [{name: target-x, pip_url: target-x==1}]}\njobs: [{name: hourly}]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of two files, and a lock file of Meltano's own."""
    (tmp_path / "meltano.yml").write_text(_MAIN)
    (tmp_path / "extra").mkdir()
    (tmp_path / "extra/more.yml").write_text(_MORE)
    lock = tmp_path / "plugins/extractors/tap-hub--meltanolabs.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text(json.dumps({"name": "tap-hub", "pip_url": "hub-tap", "executable": "hub"}))
    return tmp_path


def test_plugins_are_those_of_all_files_with_what_they_inherit(project: Path) -> None:
    files = read_meltano(project)
    assert files.jobs == ("daily", "hourly")
    assert [(each.name, each.kind, each.pip_url, each.executable) for each in files.plugins] == [
        ("tap-own", "extractors", "-e .", "own-tap"),
        ("tap-own--eu", "extractors", "-e .", "own-tap"),
        ("tap-hub", "extractors", "hub-tap", "hub"),
        ("tap-script", "extractors", None, "./tap.py"),
        ("target-x", "loaders", "target-x==1", "target-x"),
    ]


def test_keys_are_set_where_a_plugin_stands(project: Path) -> None:
    files = read_meltano(project)
    keys = {each: {"executable": f"/counted/{each.name}"} for each in files.plugins}
    files.with_keys(keys)
    again = read_meltano(project)
    assert [each.executable for each in again.plugins] == [
        f"/counted/{each.name}" for each in files.plugins
    ]
    assert "since: 2026-01-01" in (project / "meltano.yml").read_text()


@pytest.mark.parametrize("text", ["", "[]", "a: [", "\t"])
def test_what_is_no_project_is_refused(tmp_path: Path, text: str) -> None:
    if text:
        (tmp_path / "meltano.yml").write_text(text)
    with pytest.raises(SpecError, match=r"meltano\.yml"):
        read_meltano(tmp_path)
