"""The pages of the reference that are made of the code say what the code says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import REPOSITORY

_LIMIT = 300.0


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the pages as the code writes them now."""
    directory = tmp_path_factory.mktemp("docs")
    home = {"ELT_ENV_HOME": str(directory / "home"), "PYTHONPATH": str(REPOSITORY)}
    subprocess.run(
        [sys.executable, "-W", "ignore", REPOSITORY / "docs" / "reference.py", directory],
        cwd=REPOSITORY,
        env=os.environ | home,
        check=True,
        timeout=_LIMIT,
    )
    return directory


@pytest.mark.parametrize("name", ["commands.md", "dagster.md"])
def test_a_page_is_as_the_code_writes_it(name: str, written: Path) -> None:
    kept = (REPOSITORY / "docs" / "reference" / name).read_text(encoding="utf-8")
    assert (written / name).read_text(encoding="utf-8") == kept, "write it anew: make docs"
