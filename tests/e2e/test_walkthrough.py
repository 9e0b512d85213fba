"""Every command of the documentation does what its page says, on the real environment."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from elt_env.machine.indexes import find_indexes
from elt_env.project.settings import open_project
from tests.e2e.test_course_files import OWN_STORE
from tests.support.commands import REPOSITORY, Site
from tests.support.documents import as_script, follow
from tests.support.real_spec import copy_project
from tests.support.s3_server import new_prefix, s3_server

pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

_HOW_TO = (REPOSITORY / "docs/how-to").glob("*")
_BUCKET, _FOLLOW = "share-a-store", "follow"
_DEPLOY = "deploy"  # tests/integration/deploy/test_page.py
_OTHERS = (*OWN_STORE, _BUCKET, _DEPLOY, _FOLLOW)
_PAGES = ("tutorial", *(f"how-to/{each.stem}" for each in _HOW_TO if each.stem not in _OTHERS))


@pytest.fixture(scope="module")
def reader(site: Site, first_run: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clone whose set-up is done, with the store in which the environment was built."""
    assert first_run
    project = copy_project(site.directory, tmp_path_factory.mktemp("reader") / "elt_env")
    shutil.copy(REPOSITORY / "Makefile", project)
    shutil.copytree(REPOSITORY / "elt_env/defs", project / "elt_env/defs")
    (project / ".elt_env").symlink_to(site.home)
    _set_up(project)
    return project


def _set_up(project: Path) -> None:
    """Do what bootstrap.py does, with the interpreter that runs the tests."""
    place = project / ".venv" / "bin"
    place.mkdir(parents=True)
    for program in ("python", "dagster", "dg", "elt-env"):
        (place / program).symlink_to(Path(sys.executable).parent / program)
    for name in ("requirements.txt", "bootstrap.py"):
        shutil.copy(REPOSITORY / name, project)
    (project / ".venv" / ".ready").write_text(f"{project}\n")


@pytest.fixture
def variables(site: Site, reader: Path, tmp_path: Path) -> dict[str, str]:
    """Those of a reader's shell."""
    path = f"{reader / '.venv' / 'bin'}:{os.environ['PATH']}"
    return os.environ | site.environment | {"PATH": path, "TMPDIR": str(tmp_path)}


@pytest.mark.parametrize("page", sorted(_PAGES, key=lambda each: each != "tutorial"))
def test_a_page(
    page: str, reader: Path, variables: dict[str, str], content: Mapping[str, Any]
) -> None:
    script = as_script(REPOSITORY / "docs" / f"{page}.md")
    # The index of the settings, or else the one that the resolver has by itself.
    index = find_indexes(open_project(reader).policy).default
    url = index.url if index else content["lock"]["indexes"][0]
    script = script.replace("https://reader:secret@packages.example/simple", url)
    policy = (reader / "pyproject.toml").read_bytes()
    try:
        follow(script, reader, variables)
    finally:
        # What one page adds is not there for the next: its checks may want variables of its shell.
        (reader / "pyproject.toml").write_bytes(policy)


def test_the_page_about_a_bucket(reader: Path, variables: dict[str, str], tmp_path: Path) -> None:
    script = as_script(REPOSITORY / "docs" / "how-to" / f"{_BUCKET}.md")
    script = script.replace("s3://bucket/prefix", f"s3://elt/{new_prefix()}")
    back = tmp_path / "elt"
    with s3_server(tmp_path / "s3") as server:
        follow(script.replace("/srv/elt", str(back)), reader, variables | server.variables())
    assert [*(back / "locks").iterdir()]


def test_the_page_about_followers(reader: Path, variables: dict[str, str]) -> None:
    """A directory is followed as a bucket is: the store of the reader."""
    script = as_script(REPOSITORY / "docs" / "how-to" / f"{_FOLLOW}.md")
    script = script.replace("s3://bucket/prefix", str(reader / ".elt_env"))
    own = {"ELT_ENV_HOME": str(reader / "follower" / "store")}
    try:
        follow(script, reader, variables | {"ELT_ENV_PROJECT": str(reader / "follower")} | own)
    finally:
        shutil.rmtree(reader / "follower", ignore_errors=True)
