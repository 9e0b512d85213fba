"""What a command loads: libraries that take long to import are left to those that need them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SLOW = {"dagster", "httpx", "pandas", "rattler", "rich", "sqlalchemy"}
_POLICY = """
[tool.elt-env.environments.elt]
spec = "elt.yml"
pythons = ["3.11"]
"""


def _loaded(code: str, directory: Path) -> set[str]:
    """Return the top-level modules that are loaded in a new process once it has run the code."""
    told = "import sys; print('loaded:', *{each.partition('.')[0] for each in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{code}\n{told}"],
        cwd=directory,
        env={**os.environ, "ELT_ENV_WAREHOUSE": "false"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(done.stdout.rpartition("loaded:")[2].split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["show", "elt@3.11"], ["run", "elt@3.11", "--", "true"]]
)
def test_a_command_that_reads_the_store_loads_no_library_of_the_others(
    arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text(_POLICY)
    (tmp_path / "elt.yml").write_text("dependencies: [python=3.11]\n")
    code = f"""
from elt_env.cli import main
try:
    main({arguments!r})
except SystemExit:
    pass
"""
    loaded = _loaded(code, tmp_path)
    assert "elt_env" in loaded
    assert loaded & (_SLOW | ({"pydantic"} if arguments == ["--help"] else set())) == set()


def test_to_load_the_definitions_takes_neither_a_database_nor_a_solver(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text(_POLICY)
    (tmp_path / "elt.yml").write_text("dependencies: [python=3.11]\n")
    loaded = _loaded("import elt_env.definitions", tmp_path)
    assert "dagster" in loaded
    assert loaded & {"pandas", "rattler", "sqlalchemy"} == set()
