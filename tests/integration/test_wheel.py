"""The package as somebody installs it: what it needs beside its modules is in the wheel."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.support.commands import REPOSITORY

_ASK = """
import sys
from pathlib import Path
from elt_env.proof.smoke_projects import smoke_project
for name in ("dbt_project", "meltano"):
    print(smoke_project(Path(sys.argv[1]), name).relative_to(sys.argv[2]))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with what the wheel holds."""
    place = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run(
        [uv, "build", "--wheel", "--offline", "--no-build-isolation", "-o", place, REPOSITORY],
        env={"PATH": f"{uv.parent}:/usr/bin:/bin", "HOME": str(place)},
        check=True,
        capture_output=True,
        timeout=120,
    )
    [wheel] = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place / "site")
    return place / "site"


def test_the_smoke_projects_come_with_the_package(installed: Path, tmp_path: Path) -> None:
    program = f"import sys; sys.path.insert(0, {str(installed)!r}){_ASK}"
    done = subprocess.run(
        [sys.executable, "-I", "-c", program, tmp_path, installed],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    places = ["elt_env/proof/projects/dbt_project", "elt_env/proof/projects/meltano"]
    assert done.stdout.split() == places
    for place in places:
        ours = REPOSITORY / Path(place).name
        tracked = subprocess.run(
            ["git", "ls-files"], cwd=ours, check=True, capture_output=True, text=True
        ).stdout.split()
        files = [each for each in (installed / place).rglob("*") if each.is_file()]
        assert sorted(str(each.relative_to(installed / place)) for each in files) == sorted(tracked)


def test_nothing_else_of_the_repository_is_in_it(installed: Path) -> None:
    tops = {each.name.partition("-")[0] for each in installed.iterdir()}
    assert tops == {"elt_env"}
    assert not list(installed.rglob("tests"))[1:]  # dbt's own
