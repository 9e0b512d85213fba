from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.environment.project_copy import ProjectFiles
from elt_env.errors import ToolError


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project beside something that is not in it."""
    (tmp_path / "shared/deep").mkdir(parents=True)
    (tmp_path / "shared/macro.sql").write_text("macro")
    (tmp_path / "shared/deep/more.sql").write_text("more")
    root = tmp_path / "project"
    (root / "models").mkdir(parents=True)
    (root / "models/a.sql").write_text("select 1")
    return root


def copied(project: Path, tmp_path: Path, *exclude: str) -> dict[str, str]:
    """Return the files of a copy with what they hold, or where they lead."""
    place = ProjectFiles(project, exclude).copy_to(tmp_path / "copy")
    return {
        each.relative_to(place).as_posix(): f"-> {each.readlink()}"
        if each.is_symlink()
        else each.read_text()
        for each in place.rglob("*")
        if each.is_symlink() or each.is_file()
    }


def test_links_that_stay_inside_stay_links(project: Path, tmp_path: Path) -> None:
    (project / "same.sql").symlink_to("models/a.sql")
    (project / "absolute").symlink_to(project / "models")
    assert copied(project, tmp_path) == {
        "models/a.sql": "select 1",
        "same.sql": "-> models/a.sql",
        "absolute": "-> models",
    }


def test_what_links_lead_to_elsewhere_is_copied(project: Path, tmp_path: Path) -> None:
    (project / "macros").symlink_to("../shared")
    (project / "one.sql").symlink_to(tmp_path / "shared/macro.sql")
    (tmp_path / "shared/back").symlink_to(project / "models")
    found = copied(project, tmp_path)
    assert found["macros/macro.sql"] == found["one.sql"] == "macro"
    assert found["macros/deep/more.sql"] == "more"
    assert not [each for each in found.values() if each.startswith("-> /")]
    (tmp_path / "copy/macros/macro.sql").write_text("changed")
    assert (tmp_path / "shared/macro.sql").read_text() == "macro"


@pytest.mark.parametrize("target", ["..", ".", "/", "loop", "nowhere", "models/../.."])
def test_links_without_an_end_are_left_out(project: Path, tmp_path: Path, target: str) -> None:
    (project / "loop").symlink_to(target)
    if target != "/":
        assert copied(project, tmp_path) == {"models/a.sql": "select 1"}
    assert "loop" not in {each.path for each in ProjectFiles(project).files()}


def test_pipes_sockets_and_caches_are_left_out(project: Path, tmp_path: Path) -> None:
    os.mkfifo(project / "pipe")
    for name in (".git", "venv", "models/__pycache__", ".meltano"):
        (project / name).mkdir()
        (project / name / "file").write_text("x")
    (project / "venv/pyvenv.cfg").write_text("")
    (project / ".hidden").write_text("counts")
    assert copied(project, tmp_path) == {"models/a.sql": "select 1", ".hidden": "counts"}


def test_a_copy_can_be_written_whatever_the_project_is(project: Path, tmp_path: Path) -> None:
    (project / "run.sh").write_text("#!/bin/sh")
    (project / "run.sh").chmod(0o555)
    (project / "models/a.sql").chmod(0o400)
    place = ProjectFiles(project).copy_to(tmp_path / "copy")
    assert (place / "run.sh").stat().st_mode & 0o777 == 0o755
    assert (place / "models/a.sql").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("pattern", ["models", "models/", "./models/a.sql", "*.sql", "m?dels/*"])
def test_what_is_excluded_is_neither_copied_nor_counted(
    project: Path, tmp_path: Path, pattern: str
) -> None:
    before = ProjectFiles(project, (pattern,)).digest()
    (project / "models/a.sql").write_text("select 2")
    assert ProjectFiles(project, (pattern,)).digest() == before
    assert not copied(project, tmp_path, pattern)


_CHANGES: dict[str, Callable[[Path], object]] = {
    "edit": lambda root: (root / "models/a.sql").write_text("select 2"),
    "add": lambda root: (root / "models/b.sql").touch(),
    "directory": lambda root: (root / "empty").mkdir(),
    "remove": lambda root: (root / "models/a.sql").unlink(),
    "run bit": lambda root: (root / "models/a.sql").chmod(0o755),
    "elsewhere": lambda root: (root / "../shared/macro.sql").write_text("changed"),
}


@pytest.mark.parametrize("change", _CHANGES)
def test_the_digest_follows_what_a_copy_holds(project: Path, change: str) -> None:
    (project / "macros").symlink_to("../shared")
    files = ProjectFiles(project)
    before = files.digest()
    os.utime(project / "models/a.sql", (1, 1))
    assert files.digest() == before
    _CHANGES[change](project)
    assert files.digest() != before


def test_a_name_that_is_no_text_is_a_name(project: Path, tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.sql")
    (project / name).write_text("x")
    assert ProjectFiles(project).digest()
    assert (ProjectFiles(project).copy_to(tmp_path / "copy") / name).read_text() == "x"


def test_the_store_of_a_project_that_is_the_policys_own_is_left_out(project: Path) -> None:
    (project / "store").mkdir()
    (project / "store/lock.json").write_text("x")
    found = ProjectFiles(project, stores=(project / "store",)).files()
    assert [each.path for each in found] == ["models", "models/a.sql"]


@pytest.mark.parametrize(
    ("most", "what"), [({"most_bytes": 100}, "MiB"), ({"most_files": 3}, "more than 3 files")]
)
def test_a_project_that_is_too_large_says_what_to_leave_out(
    project: Path, most: dict[str, int], what: str
) -> None:
    (project / "data").mkdir()
    for number in range(3):
        (project / f"data/{number}.csv").write_text("x" * 50)
    with pytest.raises(ToolError) as caught:
        ProjectFiles(project, **most).digest()  # type: ignore[arg-type]
    assert what in caught.value.problem
    assert 'exclude = ["data"]' in caught.value.remedy
    assert ProjectFiles(project, ("data",), **most).digest()  # type: ignore[arg-type]
