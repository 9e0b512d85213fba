"""A page of the documentation becomes a script that can fail."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.documents import as_script


def run(page: str, directory: Path) -> subprocess.CompletedProcess[str]:
    (directory / "page.md").write_text(page)
    script = as_script(directory / "page.md")
    command = ["bash", "-c", script]
    return subprocess.run(
        command, cwd=directory, capture_output=True, text=True, timeout=20.0, check=False
    )


def block(info: str, text: str) -> str:
    return f"Words.\n\n```{info}\n{text}\n```\n\n"


def test_what_one_block_sets_the_next_one_has(tmp_path: Path) -> None:
    page = block("sh", "name=value") + block("text", "exit 4") + block("sh", 'test "$name" = value')
    assert run(page, tmp_path).stdout.endswith("the page was done\n")


@pytest.mark.parametrize(
    "page",
    [
        block("sh", "false\ntrue"),
        block("sh", "false | true"),
        block("sh exit=5", "exit 4"),
        block("sh exit=5", "true"),
        block("diff", "--- absent\n+++ absent\n@@ -1 +1 @@\n-a\n+b"),
    ],
)
def test_a_command_that_fails_ends_it(page: str, tmp_path: Path) -> None:
    done = run(page + block("sh", "echo on"), tmp_path)
    assert done.returncode != 0
    assert "the page was done" not in done.stdout


def test_files_are_written_appended_to_and_edited(tmp_path: Path) -> None:
    page = block("yaml a.yml", "one: 1") + block("toml +a.yml", "two: 2")
    page += block("diff", "--- a.yml\n+++ a.yml\n@@ -1,2 +1,2 @@\n one: 1\n-two: 2\n+two: 3")
    page += block("sh exit=3", "cat a.yml; exit 3")
    done = run(page, tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.yml").read_text() == "one: 1\ntwo: 3\n"
