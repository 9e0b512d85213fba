from __future__ import annotations

import yaml
from dagster_cloud_cli.commands.ci import checks

from tests.support.commands import REPOSITORY


def test_dagster_plus_takes_the_code_location_that_the_workspace_has() -> None:
    path = REPOSITORY / "dagster_cloud.yaml"
    assert checks.check_dagster_cloud_yaml(path).errors == []
    (location,) = yaml.safe_load(path.read_text(encoding="utf-8"))["locations"]
    workspace = yaml.safe_load((REPOSITORY / "workspace.yaml").read_text(encoding="utf-8"))
    (loaded,) = workspace["load_from"]
    module = loaded["python_module"]
    assert location["location_name"] == module["location_name"]
    assert location["code_source"] == {"module_name": module["module_name"]}
