"""The worked examples: each combination of tools is locked, built, proven, and stays as it is."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from elt_env.machine.process import run
from elt_env.project.settings import open_project
from elt_env.store.locks import read_lock_directory
from tests.support.commands import REPOSITORY, Site, make_site
from tests.support.installed_tools import installed_tool
from tests.support.real_conda import installed_conda

_EXAMPLES = REPOSITORY / "environments" / "examples"
_NAMES = sorted(each.name for each in _EXAMPLES.iterdir() if each.is_dir())
_TARGET = "app@3.11"
_LIMIT = 60.0
_INSTALLED = """\
import importlib.metadata as metadata, json
print(json.dumps({each.metadata["Name"]: each.version for each in metadata.distributions()}))
"""


_REAL_CONDA = " by conda"  # an example that is told to have the real conda do conda's part


@dataclass(frozen=True)
class Example:
    """A copy of an example's directory, in which `elt-env` is typed."""

    name: str
    site: Site
    conda: str = "rattler"

    def type(self, *arguments: str) -> str:
        """Run `elt-env`, and return what it printed and said."""
        path = f"{installed_tool('resolvers') / 'bin'}{os.pathsep}{os.environ['PATH']}"
        # Where conda's channel cannot be reached, as on a machine of tests.
        variables = {"PATH": path, "ELT_ENV_CHANNEL_FALLBACK": "host"}
        done = self.site.elt_env(*arguments, variables=variables)
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr

    def show(self) -> dict[str, Any]:
        return self.site.show(_TARGET)


@pytest.fixture(params=[*_NAMES, *(f"{e}{_REAL_CONDA}" for e in _NAMES if e.startswith("conda"))])
def example(request: pytest.FixtureRequest, tmp_path: Path) -> Example:
    name = request.param.removesuffix(_REAL_CONDA)
    project = tmp_path / "project"
    shutil.copytree(_EXAMPLES / name, project)
    site = make_site(tmp_path / "site", project)
    if name == request.param:
        return Example(name, site)
    program = installed_conda(tmp_path / "conda").program()
    with (project / "pyproject.toml").open("a") as policy:
        policy.write(f"conda = {json.dumps(str(program))}\n")
    return Example(name, site, "conda")


@pytest.mark.registry
@pytest.mark.slow
@pytest.mark.xdist_group("examples")  # on one worker: they share what was downloaded
def test_an_example_is_locked_built_and_proven_and_a_second_run_does_nothing(
    example: Example,
) -> None:
    assert "left out" not in example.type("lock", "app")
    lock = read_lock_directory(Path(example.show()["lock"]["path"]), None)
    is_venv = example.name.startswith("venv-")
    assert (lock.interpreter is not None) is is_venv
    assert ("venv" if is_venv else example.conda) in dict(lock.tools)
    example.type("build", "app")

    built = example.show()
    assert built["lock"]["digest"] == lock.digest == built["release"]["current"]
    statuses = {each["check"]: each["status"] for each in built["evidence"]}
    assert {*statuses.values()} <= {"passed", "warned", "not_run"}, built["evidence"]
    assert statuses["imports"] != "not_run"

    python = Path(built["prefix"]["path"], "bin", "python")
    done = run([str(python), "-I", "-c", _INSTALLED], limit=_LIMIT)
    found = {name.lower().replace("_", "-"): each for name, each in json.loads(done.stdout).items()}
    assert found == lock.distributions

    said = example.type("build", "app")
    assert f"kept {lock.digest}" in said
    assert "nothing to do" in said
    assert ": checking" not in said.replace("_smoke: checking", "")  # what cannot run is tried
    assert example.show()["release"] == built["release"]


def test_each_combination_that_people_use_has_one_and_is_told_of() -> None:
    combinations = {
        *("conda-pip", "conda-python-only", "conda-poetry", "conda-uv"),
        *("venv-pip", "venv-uv", "venv-poetry", "venv-pip-tools"),
    }
    assert {*_NAMES} == combinations
    told = (_EXAMPLES / "README.md").read_text()
    assert all(f"({each})" in told for each in combinations)
    assert {*open_project(REPOSITORY).environments} == {"elt", "dbt-only"}


@pytest.mark.parametrize("name", _NAMES)
def test_the_policy_of_an_example_is_what_its_name_says(name: str) -> None:
    policy = open_project(_EXAMPLES / name).environment("app")
    python, _, tool = name.partition("-")
    assert policy.python == python
    assert policy.resolver == ("uv" if tool == "python-only" else tool)
