from __future__ import annotations

import os
import subprocess
from datetime import datetime, timezone
from pathlib import Path

import pytest

from elt_env.errors import PolicyError
from elt_env.image import source as image_source


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name, text in {
        "dbt_project/dbt_project.yml": "name: x\n",
        "dbt_project/models/a.sql": "select 1\n",
        "dbt_project/target/manifest.json": "{}",
        "dbt_project/logs/dbt.log": "",
        "meltano/meltano.yml": "version: 1\n",
        "meltano/.meltano/meltano.db": "",
        "meltano/.env": "SECRET=1",
        "pyproject.toml": "",
    }.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "project"


def git(project: Path, *arguments: str) -> str:
    who = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for name in ("AUTHOR", "COMMITTER"):
        who |= {f"GIT_{name}_NAME": "t", f"GIT_{name}_EMAIL": "t@example.invalid"}
    done = subprocess.run(
        ["git", "-C", project, *arguments],
        env=os.environ | who,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def commit(project: Path, message: str) -> str:
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", message)
    return git(project, "rev-parse", "HEAD")


def test_what_tools_left_and_what_is_hidden_stays_out(project: Path) -> None:
    assert image_source.project_files(project) == (
        "dbt_project/dbt_project.yml",
        "dbt_project/models/a.sql",
        "meltano/meltano.yml",
    )


def test_the_digest_follows_names_content_and_executable_bits(project: Path) -> None:
    def digest() -> str:
        return image_source.project_digest(project, image_source.project_files(project))

    seen = {digest()}
    (project / "meltano/meltano.yml").write_text("version: 2\n")
    seen.add(digest())
    (project / "meltano/meltano.yml").chmod(0o755)
    seen.add(digest())
    (project / "meltano/meltano.yml").rename(project / "meltano/other.yml")
    seen.add(digest())
    assert len(seen) == 4
    os.utime(project / "meltano/other.yml", (0, 0))
    assert digest() in seen


def test_the_revision_is_that_of_the_last_change_to_what_is_packed(project: Path) -> None:
    assert image_source.source_revision(project) is None
    git(project, "init", "-q")
    assert image_source.source_revision(project) is None
    first = commit(project, "one")
    (project / "pyproject.toml").write_text("[tool]\n")
    commit(project, "elsewhere")
    assert image_source.source_revision(project) == first
    (project / "meltano/meltano.yml").write_text("version: 2\n")
    assert image_source.source_revision(project) == f"{first}-changed"
    second = commit(project, "two")
    assert image_source.source_revision(project) == second


@pytest.mark.parametrize("text", ["", None])
def test_without_a_date_an_image_is_of_the_epoch(
    text: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if text is None:
        monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    else:
        monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    assert image_source.source_date() == datetime(1970, 1, 1, tzinfo=timezone.utc)


@pytest.mark.parametrize("text", ["today", "1.5", "9" * 30])
def test_a_date_that_is_none_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(PolicyError, match="not a number of seconds"):
        image_source.source_date()
