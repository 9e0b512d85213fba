"""Environments as components of any `dg` project."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster.components.component_scaffolding import scaffold_object
from dagster.components.core.snapshot import get_package_entry_snap
from dagster_shared.serdes.objects import EnvRegistryKey

import elt_env
from elt_env.definitions import project_definitions
from elt_env.project.policy import ComponentPolicy
from elt_env.project.settings import open_project
from tests.support.definitions import environment_definitions
from tests.support.terminal import LIMIT

_ASSET = """\
import dagster as dg

@dg.asset(automation_condition=dg.AutomationCondition.eager())
def orders() -> None: ...
"""
_ATTRIBUTES = "  spec: environment.yml\n  pythons: ['3.11', '3.12']\n"
_COUNT = itertools.count()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A `dg` project with an asset of its own, whose module can be imported."""
    module = f"acme_{next(_COUNT)}"
    folder = tmp_path / "src" / module / "defs"
    folder.mkdir(parents=True)
    for each in (folder.parent, folder):
        each.joinpath("__init__.py").touch()
    folder.joinpath("orders.py").write_text(_ASSET)
    tmp_path.joinpath("pyproject.toml").write_text(
        '[project]\nname = "acme"\nrequires-python = ">=3.10"\n\n[tool.dg]\n'
        f'directory_type = "project"\n\n[tool.dg.project]\nroot_module = "{module}"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    for name in [each for each in sys.modules if each.split(".")[0] == module]:
        del sys.modules[name]


def _folder(root: Path) -> Path:
    return next(root.glob("src/*/defs"))


def _component(root: Path, name: str, attributes: str = _ATTRIBUTES) -> None:
    folder = _folder(root) / name
    folder.mkdir()
    folder.joinpath("defs.yaml").write_text(
        f"type: elt_env.EnvironmentComponent\nattributes:\n{attributes}"
    )


def _scaffold(root: Path, name: str) -> None:
    """Do what `dg scaffold defs elt_env.EnvironmentComponent NAME` does."""
    kind = "elt_env.EnvironmentComponent"
    scaffold_object(_folder(root) / name, kind, None, "yaml", root)


def test_every_key_is_in_the_schema_with_a_description() -> None:
    key = EnvRegistryKey("elt_env", "EnvironmentComponent")
    component = get_package_entry_snap(key, elt_env.EnvironmentComponent).component_schema
    assert component is not None
    assert component["additionalProperties"] is False
    assert set(component["properties"]) == set(ComponentPolicy.model_fields)
    assert all(each.get("description") for each in component["properties"].values())
    assert component["required"] == ["spec", "pythons"]


def test_components_bring_their_environments_and_once_what_these_share(root: Path) -> None:
    _component(root, "elt")
    _component(root, "reporting", f"{_ATTRIBUTES}  owners: ['team:data']\n")
    defs = dg.load_from_defs_folder(path_within_project=root)
    repository = defs.get_repository_def()
    policy = open_project(root).policy
    names = {each.name for each in repository.get_all_jobs()}
    for name, each in policy.environments.items():
        jobs = environment_definitions(name, each).jobs or ()
        assert {job.name for job in jobs} <= names
        assert defs.resolve_assets_def([name, "release"]).partitions_def is not None
    partitions = defs.resolve_job_def("promote").partitions_def
    assert partitions is not None
    assert partitions.get_partition_keys() == [
        f"{name}@{python}" for name in ("elt", "reporting") for python in ("3.11", "3.12")
    ]
    owners = defs.resolve_assets_def(["reporting", "lockfile"]).specs_by_key.values()
    assert [list(each.owners) for each in owners] == [["team:data"]]
    assert list(repository.get_top_level_resources()) == ["project"]


def _reads(root: Path, component: str) -> int:
    """Return how often the file of a component is opened while the project is loaded."""
    path = str(_folder(root) / component / "defs.yaml")
    count = 0

    def hear(event: str, details: tuple[object, ...]) -> None:
        nonlocal count
        count += event == "open" and str(details[0]) == path

    sys.addaudithook(hear)
    dg.load_from_defs_folder(path_within_project=root)
    return count


def test_more_components_are_not_read_more_often(root: Path) -> None:
    _component(root, "elt")
    alone = _reads(root, "elt")
    for number in range(4):
        _component(root, f"other{number}")
    assert _reads(root, "elt") == alone


def test_what_is_the_teams_own_is_left_alone(root: Path) -> None:
    _component(root, "elt")
    defs = dg.load_from_defs_folder(path_within_project=root)
    graph = defs.resolve_asset_graph()
    sensor = defs.resolve_sensor_def("automation_sensor")
    assert dg.AssetKey("orders") in graph.get_all_asset_keys()
    assert sensor.asset_selection is not None
    assert dg.AssetKey("orders") not in sensor.asset_selection.resolve(graph)
    assert defs.executor is None
    assert not defs.loggers


def test_an_asset_of_a_component_names_its_file(root: Path) -> None:
    for name in ("elt", "reporting"):
        _component(root, name)
    defs = dg.load_from_defs_folder(path_within_project=root)
    for name in ("elt", "reporting"):
        spec = defs.resolve_assets_def([name, "lockfile"]).get_asset_spec()
        references = spec.metadata["dagster/code_references"].code_references
        assert str(_folder(root) / name / "defs.yaml") in [each.file_path for each in references]


def test_what_is_scaffolded_is_an_environment(root: Path) -> None:
    _scaffold(root, "elt")
    project = open_project(root)
    [python] = project.environment("elt").pythons
    assert project.spec("elt").name == "elt"
    assert project.environment("elt").spec == str(
        (_folder(root) / "elt" / "environment.yml").relative_to(root)
    )
    defs = dg.load_from_defs_folder(path_within_project=root)
    partitions = defs.resolve_job_def("elt_build").partitions_def
    assert partitions is not None
    assert partitions.get_partition_keys() == [python]


def test_a_spec_that_is_there_is_taken(root: Path) -> None:
    root.joinpath("environment.yml").write_text("name: x\ndependencies: [python=3.13]\n")
    _scaffold(root, "reporting")
    policy = open_project(root).environment("reporting")
    assert (policy.spec, policy.pythons) == ("environment.yml", ("3.13",))


@pytest.mark.slow
def test_dg_names_a_wrong_key(root: Path) -> None:
    _component(root, "elt", f"{_ATTRIBUTES}  promoet: auto\n")
    done = subprocess.run(
        [sys.executable, "-m", "dagster_dg_cli.cli", "check", "yaml"],
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=False,
    )
    assert done.returncode != 0
    assert "attributes.promoet" in done.stdout
    assert "defs.yaml:5" in done.stdout


def test_what_dg_scaffolds_stands_beside_the_environments_of_a_policy(root: Path) -> None:
    with (root / "pyproject.toml").open("a") as file:
        file.write(
            '[tool.elt-env.environments.elt]\nspec = "environment.yml"\npythons = ["3.11"]\n'
        )
    defs = project_definitions(open_project(root))
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    assert {dg.AssetKey("orders"), dg.AssetKey(["elt", "release"])} <= keys
    assert defs.resolve_job_def("elt_build").name == "elt_build"


def test_the_entry_point_loads_components_too(root: Path) -> None:
    _component(root, "elt")
    defs = project_definitions(open_project(root))
    keys = defs.resolve_asset_graph().get_all_asset_keys()
    assert {dg.AssetKey("orders"), dg.AssetKey(["elt", "release"])} <= keys


def test_each_asset_says_its_kind_its_owner_and_its_environment(root: Path) -> None:
    _component(root, "elt", f"{_ATTRIBUTES}  owners: ['team:data']\n")
    graph = dg.load_from_defs_folder(path_within_project=root).resolve_asset_graph()
    for key in graph.get_all_asset_keys() - {dg.AssetKey("orders")}:
        node = graph.get(key)
        assert node.kinds, key
        assert list(node.owners) == ["team:data"], key
        of_one = key.path[0] == "elt"
        assert node.tags.get("elt-env/environment") == ("elt" if of_one else None), key
