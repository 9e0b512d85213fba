"""The policy of a project whose environments are components of Dagster."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from elt_env.errors import PolicyError
from elt_env.project.components import COMPONENT, read_components
from elt_env.project.project import Project
from elt_env.project.settings import open_project, policy_sources

_CONFIG = '[tool.dg]\ndirectory_type = "project"\n\n[tool.dg.project]\nroot_module = "acme"\n'
_ELT: dict[str, Any] = {"spec": "environment.yml", "pythons": ["3.11"]}


def _project(root: Path, *, defs: str = "src/acme/defs", **components: Mapping[str, Any]) -> Path:
    """Make a `dg` project with a component in a directory of each name; return its defs folder."""
    folder = root / defs
    folder.mkdir(parents=True)
    (root / "pyproject.toml").write_text(_CONFIG)
    for name, attributes in components.items():
        _component(folder / name / "defs.yaml", attributes)
    return folder


def _component(path: Path, *attributes: Mapping[str, Any]) -> None:
    path.parent.mkdir(parents=True)
    documents = [{"type": COMPONENT, "attributes": dict(each)} for each in attributes]
    path.write_text(yaml.safe_dump_all(documents))


def _open(root: Path) -> Project:
    return open_project(root)


@pytest.mark.parametrize("defs", ["src/acme/defs", "acme/defs"])
def test_a_component_is_an_environment_named_as_its_directory(tmp_path: Path, defs: str) -> None:
    check = {"kind": "command", "run": "true", "limit": "2 minutes"}
    said = {**_ELT, "promote": "manual", "required_checks": ["pip_check"], "checks": {"own": check}}
    folder = _project(tmp_path, defs=defs, elt=said)
    project = _open(folder / "elt")
    assert project.root == tmp_path
    policy = project.environment("elt")
    assert (policy.spec, policy.pythons, policy.promote) == ("environment.yml", ("3.11",), "manual")
    assert policy.required_checks == ("pip_check",)
    assert policy.checks["own"].limit == timedelta(minutes=2)


def test_a_name_wins_and_a_file_may_hold_several(tmp_path: Path) -> None:
    folder = _project(tmp_path)
    _component(folder / "team" / "defs.yml", {**_ELT, "name": "one"}, {**_ELT, "name": "two"})
    assert list(_open(tmp_path).policy.environments) == ["one", "two"]


def test_the_folder_is_the_one_that_dg_takes(tmp_path: Path) -> None:
    folder = _project(tmp_path, defs="src/other/place", elt=_ELT)
    (tmp_path / "pyproject.toml").unlink()
    (tmp_path / "dg.toml").write_text('[project]\nroot_module = "x"\ndefs_module = "other.place"\n')
    [found] = read_components(tmp_path)
    assert found.path == folder / "elt" / "defs.yaml"
    assert list(_open(tmp_path).policy.environments) == ["elt"]


def test_what_is_not_of_this_kind_is_left_to_dagster(tmp_path: Path) -> None:
    folder = _project(tmp_path, elt=_ELT)
    other = folder / "dbt" / "defs.yaml"
    other.parent.mkdir()
    other.write_text("type: dagster_dbt.DbtProjectComponent\nattributes: {project: '{{ x }}'}\n")
    (folder / "scripts.yaml").write_text("{{ no yaml")
    assert [each.name for each in read_components(tmp_path)] == ["elt"]


def test_shared_keys_hold_for_the_project_and_beside_pyproject(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = _project(tmp_path, elt={**_ELT, "cooldown": "1 day", "channel_fallback": "host"})
    with (tmp_path / "pyproject.toml").open("a") as file:
        file.write("[tool.elt-env]\nkeep-releases = 7\n[tool.elt-env.environments.more]\n")
        file.write('spec = "more.yml"\npythons = ["3.12"]\n')
    project = _open(tmp_path)
    assert list(project.policy.environments) == ["more", "elt"]
    assert project.policy.cooldown == timedelta(days=1)
    assert (project.policy.channel_fallback, project.policy.keep_releases) == ("host", 7)
    sources = policy_sources(project, {})
    path = str(folder / "elt" / "defs.yaml")
    assert sources["cooldown"] == sources["environments.elt.spec"] == path
    assert sources["keep_releases"] == str(tmp_path / "pyproject.toml")
    monkeypatch.setenv("ELT_ENV_ENVIRONMENTS__ELT__PYTHONS", json.dumps(["3.13"]))
    assert _open(tmp_path).environment("elt").pythons == ("3.13",)


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ({**_ELT, "promoet": "auto"}, "environments.elt.promoet: there is no such key"),
        ({**_ELT, "pythons": [3.1]}, "environments.elt.pythons.0"),
        ({"spec": "environment.yml"}, "environments.elt.pythons: it is missing"),
        ({**_ELT, "name": "UPPER"}, "is not a name"),
        ({**_ELT, "checks": {"own": {"kind": "no"}}}, "there is no kind 'no'"),
        ({**_ELT, "cooldown": "soon"}, "cooldown: write a number and a unit"),
        ({**_ELT, "index": "{{ env.INDEX }}"}, "is a template"),
        ({}, "spec: it is missing"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(
    tmp_path: Path, attributes: Mapping[str, Any], said: str
) -> None:
    folder = _project(tmp_path, elt=attributes)
    with pytest.raises(PolicyError) as refused:
        _open(tmp_path)
    assert said in refused.value.problem
    assert str(folder / "elt" / "defs.yaml") in refused.value.problem


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"type: {COMPONENT}\n", "has no attributes"),
        (f"type: {COMPONENT}\nattributes: [\n", "is not valid YAML"),
        (f"type: {COMPONENT}\nattributes: &a {{b: *a}}\n", "is not valid YAML"),
    ],
)
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    path = _project(tmp_path, elt=_ELT) / "elt" / "defs.yaml"
    path.write_text(text)
    with pytest.raises(PolicyError) as refused:
        _open(tmp_path)
    assert said in refused.value.problem
    assert str(path) in refused.value.problem


def test_two_files_do_not_say_two_things(tmp_path: Path) -> None:
    _project(tmp_path, one={**_ELT, "keep_releases": 2}, two={**_ELT, "keep_releases": 3})
    with pytest.raises(PolicyError, match=r"two/defs.yaml: 'keep_releases' .*one/defs.yaml says"):
        _open(tmp_path)


def test_an_environment_is_listed_once(tmp_path: Path) -> None:
    folder = _project(tmp_path, elt=_ELT)
    _component(folder / "other" / "defs.yaml", {**_ELT, "name": "elt"})
    with pytest.raises(PolicyError, match="an environment 'elt' elsewhere"):
        _open(tmp_path)


def test_a_spec_that_is_not_there_is_corrected_in_that_file(tmp_path: Path) -> None:
    folder = _project(tmp_path, elt=_ELT)
    with pytest.raises(Exception, match=r"environment\.yml") as refused:
        _open(tmp_path).spec("elt")
    assert str(folder / "elt" / "defs.yaml") in refused.value.remedy  # type: ignore[attr-defined]
