"""Files that a person brings, as courses hand out this stack, where their channel is not."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.commands import REPOSITORY, Site, make_site
from tests.support.documents import as_script, follow

# On a worker of their own: they need nothing of what the real spec gives.
pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("course")]

_FILES = REPOSITORY / "tests" / "samples" / "course"
OWN_STORE = ("bring-your-own-file", "use-in-your-dagster-project")
"""The pages on which a reader begins with a project, and so with a store, of their own."""


@pytest.fixture(scope="module")
def student(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Somebody with the files, and with nothing else."""
    root = tmp_path_factory.mktemp("course")
    place = Path(shutil.copytree(_FILES, root / "files"))
    return replace(make_site(root, place), home=place / ".elt_env")


def test_a_file_becomes_a_released_environment(student: Site) -> None:
    done = student.elt_env("build", "by-hand.yml", "--python", "3.11")
    assert done.returncode == 0, done.stderr[-5000:]
    assert "prefix" in done.stderr
    content = student.show("elt@3.11")
    assert content["release"]["current"] == content["lock"]["digest"]
    ran = {each["check"]: each["status"] for each in content["evidence"]}
    assert {ran[f"{name}_smoke"] for name in ("dbt", "meltano", "dagster")} == {"passed"}
    started = student.elt_env("run", "elt", "--", "dbt", "--version")
    assert "bigquery" in started.stdout


@pytest.mark.parametrize("page", OWN_STORE)
def test_a_page_about_a_project_of_ones_own(student: Site, tmp_path: Path, page: str) -> None:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    variables = student.environment | {"PATH": path, "TMPDIR": str(tmp_path)}
    del variables["ELT_ENV_HOME"]
    follow(as_script(REPOSITORY / f"docs/how-to/{page}.md"), tmp_path, variables)


def test_what_an_export_pins_is_what_is_locked(student: Site) -> None:
    done = student.elt_env("lock", "exported-from-history.yml", "--name", "pinned")
    assert done.returncode == 0, done.stderr[-5000:]
    content = student.show("pinned")
    assert content["lock"]["pip"] == (_FILES / "exported-from-history.yml").read_text().count("==")


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("exported-with-builds.yml", ("builds that exist only on its channels", "--no-builds")),
        ("exported-no-builds.yml", ("_libgcc_mutex", "ld_impl_linux-64", "libgcc-ng")),
        ("conda-side.yml", ("no index has a distribution of that name: python-duckdb",)),
    ],
)
def test_what_only_the_channel_has_is_said_in_one_message(
    student: Site, file: str, words: Sequence[str]
) -> None:
    done = student.elt_env("lock", file, "--name", "other")
    assert done.returncode == 4
    message = done.stderr[done.stderr.index("elt-env: ") :]
    for word in words:
        assert word in message
    assert message.count("  -> ") == 1
