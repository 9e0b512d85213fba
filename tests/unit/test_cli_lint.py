"""`elt-env lint`, in a directory without a policy."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elt_env.cli import main

_GOOD = "dependencies: [python=3.11, pandas, pip: [dagster]]\n"
_BAD = "channels: a\ndependencies:\n  - pandas>>2\n  - pip:\n      - duckdb=1\n"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _lint(*names: str) -> Result:
    return CliRunner().invoke(main, ["lint", *names])


def test_a_file_that_can_be_used_ends_with_0() -> None:
    Path("conda.yml").write_text(_GOOD, encoding="utf-8")
    result = _lint("conda.yml")
    assert (result.exit_code, result.output) == (
        0,
        "conda.yml: nothing is wrong\n",
    )


def test_what_is_ignored_or_left_out_is_said_and_ends_with_0() -> None:
    text = f"{_GOOD}prefix: /home/me\nvariables:\n  DBT_TOKEN: abc123\n"
    Path("elt.yml").write_text(text, encoding="utf-8")
    result = _lint("elt.yml")
    assert result.exit_code == 0
    assert "elt.yml, line 2: WARNING: 'prefix' is ignored" in result.output
    assert "elt.yml, line 4: WARNING: the variable DBT_TOKEN looks like a secret" in result.output
    assert "abc123" not in result.output


def test_all_faults_of_all_files_are_said_and_end_with_2() -> None:
    Path("bad.yml").write_text(_BAD, encoding="utf-8")
    Path("good.yml").write_text(_GOOD, encoding="utf-8")
    result = _lint("bad.yml", "good.yml", "missing.yml")
    assert result.exit_code == 2
    assert result.output == (
        "bad.yml, line 1: 'channels' is not a list of names or URLs.\n"
        "  -> Write: channels: [a]\n"
        "bad.yml, line 3: 'pandas>>2' is not a valid conda requirement: '>>2' is not a version "
        "bound.\n"
        "  -> Write 'pandas>2'.\n"
        "bad.yml, line 5: 'duckdb=1' has one '=', which is conda's way of writing; pip wants two.\n"
        "  -> Write 'duckdb==1', or 'duckdb==1.*'.\n"
        "good.yml: nothing is wrong\n"
        f"The spec missing.yml does not exist in {Path.cwd()}.\n"
        "  -> Name a file that is there.\n"
    )


def test_files_beside_the_spec_are_read() -> None:
    Path("envs").mkdir()
    text = _GOOD.replace("dagster", "-r more.txt")
    Path("envs/elt.yml").write_text(text, encoding="utf-8")
    assert (
        "envs/elt.yml, line 1: the file envs/more.txt cannot be read"
        in _lint("envs/elt.yml").output
    )
    Path("envs/more.txt").write_text("six\nduckdb=1\n", encoding="utf-8")
    result = _lint(str(Path("envs/elt.yml").absolute()))
    assert result.exit_code == 2
    assert "more.txt, line 2: 'duckdb=1'" in result.output


def test_its_help_has_examples_and_no_name_is_a_fault() -> None:
    assert "elt-env lint environment.yml" in _lint("--help").output
    assert _lint().exit_code == 2
