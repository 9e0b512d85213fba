"""What a command loads: libraries that take long to import are left to those that need them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_SLOW = {
    "asyncio",
    "dagster",
    "elftools",
    "httpx",
    "pandas",
    "rattler",
    "rich",
    "sqlalchemy",
    "ssl",
}
_POLICY = """
[tool.elt-env]
warehouse = false

[tool.elt-env.environments.elt]
spec = "elt.yml"
pythons = ["3.11"]
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a policy that no variable overrides."""
    (tmp_path / "pyproject.toml").write_text(_POLICY)
    (tmp_path / "elt.yml").write_text("dependencies: [python=3.11]\n")
    monkeypatch.delenv("ELT_ENV_CACHE_HOME")
    return tmp_path


def _loaded(code: str, directory: Path) -> set[str]:
    """Return the modules that are loaded in a new process once it has run the code."""
    told = "import sys; print('loaded:', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", f"{code}\n{told}"],
        cwd=directory,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return set(done.stdout.rpartition("loaded:")[2].split())


def _command(*arguments: str) -> str:
    return f"""
from elt_env.cli import main
try:
    main({list(arguments)!r})
except SystemExit:
    pass
"""


def _own(loaded: set[str]) -> int:
    return len([each for each in loaded if each.startswith("elt_env.")])


@pytest.mark.parametrize(
    ("arguments", "without", "own"),
    [
        (["--help"], {"pydantic", "yaml"}, 20),
        (["show", "elt@3.11"], {"pydantic_settings", "yaml"}, 85),
        (["run", "elt@3.11", "--", "true"], {"pydantic_settings", "yaml", "tomli_w"}, 75),
    ],
)
def test_a_command_that_reads_the_store_loads_no_library_of_the_others(
    arguments: list[str], without: set[str], own: int, project: Path
) -> None:
    loaded = _loaded(_command(*arguments), project)
    assert 0 < _own(loaded) <= own
    assert loaded & (_SLOW | without) == set()


def test_a_variable_is_read_by_the_library_for_it(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ELT_ENV_COOLDOWN", "0")
    assert "pydantic_settings" in _loaded(_command("show", "elt@3.11"), project)


def test_to_keep_a_lock_takes_no_client_of_a_server(project: Path) -> None:
    loaded = _loaded("import elt_env.cli.lock, elt_env.conda.rattler_tool", project)
    assert "rattler" in loaded
    assert loaded & {"elftools", "httpx", "pydantic_settings", "rich", "elt_env.pipeline"} == set()


def test_to_load_the_definitions_takes_neither_a_database_nor_a_solver(project: Path) -> None:
    loaded = _loaded("import elt_env.definitions", project)
    assert "dagster" in loaded
    assert loaded & {"httpx", "pandas", "rattler", "sqlalchemy"} == set()
