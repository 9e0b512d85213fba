from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.proof.smoke_projects import smoke_project
from tests.support.commands import REPOSITORY

_FILES = {"dbt_project": "dbt_project.yml", "meltano": "meltano.yml"}


@pytest.mark.parametrize("name", _FILES)
def test_any_directory_has_the_projects(tmp_path: Path, name: str) -> None:
    assert smoke_project(tmp_path, name) == REPOSITORY / name


@pytest.mark.parametrize("name", _FILES)
def test_a_project_of_the_same_name_is_another(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / _FILES[name]).write_text("name: shop\n")
    assert smoke_project(tmp_path, name) == REPOSITORY / name


@pytest.mark.parametrize("name", _FILES)
def test_a_project_that_was_changed_is_the_one(tmp_path: Path, name: str) -> None:
    content = (REPOSITORY / name / _FILES[name]).read_text()
    (tmp_path / name).mkdir()
    (tmp_path / name / _FILES[name]).write_text(f"# ours\n{content}")
    assert smoke_project(tmp_path, name) == tmp_path / name
