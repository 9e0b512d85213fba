"""Metrics are what Prometheus reads, and say what the store says."""

from __future__ import annotations

import threading
from datetime import datetime, timezone
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from elt_env.follow.reports import Report, State, write_report
from elt_env.release.promote import promote
from elt_env.report.metrics import metrics_text, registry_of, write_metrics
from elt_env.store.local import LocalDocuments
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import prepare, pretend_proven, toolbox_at
from tests.support.sample import silent

_LOCK = lock_of(python_package(), pip_package("alpha", "1.0"))
_NAME = _LOCK.target.name
_LIMIT = 60.0
_NOW = datetime(2026, 1, 2, tzinfo=timezone.utc)


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    """A project with a release, a check that failed since, and three followers."""
    toolbox = toolbox_at(tmp_path / "project")
    prepare(_LOCK, toolbox)
    promote(_LOCK.target, toolbox, silent, trigger="", by="")
    pretend_proven(_LOCK, toolbox, names=["imports"], status="failed")
    states: tuple[tuple[State, int], ...] = (("runs", 1), ("runs", 1), ("failed", 0))
    for number, (state, running) in enumerate(states):
        report = Report(f"{number:016}", "host", 1, state, running, "", _NOW)
        own = LocalDocuments(tmp_path / f"follower-{number}")
        assert write_report(_NAME, report, toolbox.store.documents, own)
        assert not write_report(_NAME, report, toolbox.store.documents, own)
    return toolbox


def values(text: str) -> dict[tuple[str, str], float]:
    """Return the values by name and state, as Prometheus' own parser reads them."""
    return {
        (each.name.removeprefix("elt_env_"), each.labels.get("state", "")): each.value
        for family in text_string_to_metric_families(text)
        for each in family.samples
        if each.labels.get("target") == _NAME
    }


def test_they_say_what_the_store_says(toolbox: Tools) -> None:
    found = values(metrics_text(toolbox.project))
    assert found[("readable", "")] == 1
    assert found[("release", "")] == 1
    assert found[("lock_released", "")] == 1
    assert found[("lock_timestamp_seconds", "")] == _LOCK.locked_at.timestamp()
    assert found[("failed_checks", "")] == 1
    assert found[("held_back_packages", "")] == 0
    assert found[("cooling_down_packages", "")] == 0
    assert found[("followers", "runs")] == 2
    assert found[("followers", "failed")] == 1
    assert found[("followers_behind", "")] == 1


def test_what_cannot_be_read_is_told(toolbox: Tools) -> None:
    pointer = toolbox.store.local_home / "targets" / _NAME / "lock.json"
    pointer.write_text("changed by hand")
    found = values(metrics_text(toolbox.project))
    assert found == {("readable", ""): 0}


def test_a_file_is_replaced_and_http_is_answered(toolbox: Tools, tmp_path: Path) -> None:
    from prometheus_client import start_http_server

    path = tmp_path / "elt-env.prom"
    path.write_text("before")
    write_metrics(toolbox.project, path)
    assert path.stat().st_mode & 0o777 == 0o644
    server, thread = start_http_server(0, "127.0.0.1", registry_of(toolbox.project))
    try:
        url = f"http://127.0.0.1:{server.server_port}/metrics"
        answer = httpx.get(url, trust_env=False, timeout=_LIMIT)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert values(answer.text) == values(path.read_text())
    assert not [each for each in threading.enumerate() if each is thread]
