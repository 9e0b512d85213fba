"""What Dagster+ is told of the code location, read by its own command line."""

from __future__ import annotations

import subprocess
import sys

import yaml

from tests.support.commands import REPOSITORY

# In a process of its own: it warns of itself when it is loaded.
_CHECK = """
import pathlib, sys
from dagster_cloud_cli.commands.ci import checks
sys.exit("; ".join(checks.check_dagster_cloud_yaml(pathlib.Path(sys.argv[1])).errors) or 0)
"""


def test_dagster_plus_takes_the_code_location_that_the_workspace_has() -> None:
    path = REPOSITORY / "dagster_cloud.yaml"
    command = [sys.executable, "-c", _CHECK, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    (location,) = yaml.safe_load(path.read_text(encoding="utf-8"))["locations"]
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text(encoding="utf-8"))
    module = workspace["load_from"][0]["python_module"]
    assert location["location_name"] == module["location_name"]
    assert location["code_source"] == {"module_name": module["module_name"]}
