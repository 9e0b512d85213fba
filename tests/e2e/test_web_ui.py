"""What a check of the real environment shows in the web UI."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.real_spec import FailedJob
from tests.support.web_ui import WebUi, has_browser, web_ui

# On one worker: they share what was built.
pytestmark = [
    pytest.mark.registry,
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.xdist_group("e2e"),
    pytest.mark.skipif(not has_browser(), reason="chromium is not there: make system-tools"),
]

_LATEST = """
query Latest($asset: AssetKeyInput!, $check: String!) {
  assetCheckExecutions(assetKey: $asset, checkName: $check, limit: 1) {
    evaluation {
      success severity partition description
      metadataEntries {
        label
        ... on IntMetadataEntry { intValue }
        ... on PathMetadataEntry { path }
        ... on MarkdownMetadataEntry { mdStr }
        ... on TableMetadataEntry { table { records } }
      }
    }
  }
}
"""


def test_a_failed_dbt_test_is_told_with_its_message_and_every_node(failed_job: FailedJob) -> None:
    with web_ui(failed_job.site) as ui:
        found = _latest(ui, "dbt_smoke")
        page = ui.page("/assets/elt/environment?view=checks&checkDetail=dbt_smoke")

    assert (found["success"], found["severity"], found["partition"]) == (False, "ERROR", "3.11")
    assert found["description"].startswith("test nothing_is_locked: fail: Got 1 result")
    shown = {each["label"]: each for each in found["metadataEntries"]}
    assert shown["loaded_rows"]["intValue"] == shown["extracted_rows"]["intValue"] > 0
    assert shown["faulty_nodes"]["intValue"] == 1
    nodes = [json.loads(each) for each in shown["node_results"]["table"]["records"]]
    assert len(nodes) == shown["nodes"]["intValue"]
    assert nodes[0]["node"] == "nothing_is_locked"
    assert (nodes[0]["type"], nodes[0]["status"]) == ("test", "fail")
    assert nodes[0]["message"].startswith("Got 1 result")
    assert "dbt: " in shown["log_tail"]["mdStr"]
    assert Path(shown["log"]["path"]).is_file()
    assert "nothing_is_locked" in page
    assert "Got 1 result, configured to fail if != 0" in page


def _latest(ui: WebUi, check: str) -> dict[str, Any]:
    answer = ui.ask(_LATEST, asset={"path": ["elt", "environment"]}, check=check)
    found: dict[str, Any] = answer["assetCheckExecutions"][0]["evaluation"]
    return found
