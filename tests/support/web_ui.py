"""Dagster's web UI on 127.0.0.1, asked through GraphQL and looked at in a browser."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.commands import Site

_START_SECONDS = 120
_RUN_SECONDS = 300
_PAGE_SECONDS = 120

_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
  }
}
"""
_STATUS = "query Status($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
_TERMINATE = "mutation End($id: String!) { terminateRun(runId: $id) { __typename } }"


@dataclass(frozen=True)
class WebUi:
    """A running web UI."""

    url: str

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Return the data of a GraphQL answer."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            content: dict[str, Any] = json.load(answer)
        assert "errors" not in content, content
        data: dict[str, Any] = content["data"]
        return data

    def launch(self, job: str, python: str) -> str:
        """Launch a job for one partition, as the button does; return the run's id."""
        params = {
            "selector": {
                "repositoryLocationName": "elt_env",
                "repositoryName": "__repository__",
                "pipelineName": job,
            },
            "runConfigData": {},
            "executionMetadata": {"tags": [{"key": "dagster/partition", "value": python}]},
        }
        answer = self.ask(_LAUNCH, params=params)["launchRun"]
        assert answer["__typename"] == "LaunchRunSuccess", answer
        return str(answer["run"]["runId"])

    def status(self, run: str) -> str:
        """Return the run's status, as in `SUCCESS`."""
        return str(self.ask(_STATUS, id=run)["runOrError"]["status"])

    def wait(self, run: str) -> str:
        """Return the status that the run ended with."""
        end = time.monotonic() + _RUN_SECONDS
        while (status := self.status(run)) not in ("SUCCESS", "FAILURE", "CANCELED"):
            assert time.monotonic() < end, f"still {status}"
            time.sleep(0.5)
        return status

    def terminate(self, run: str) -> None:
        """Ask for the run's end, as the button does."""
        self.ask(_TERMINATE, id=run)

    def page(self, path: str, picture: Path | None = None) -> str:
        """Return the document that a browser makes of a page; keep a picture of it as well."""
        if picture is not None:
            self._browse(path, f"--screenshot={picture}")
        # One start does one thing: chromium takes a picture or dumps the document.
        return self._browse(path, "--dump-dom")

    def _browse(self, path: str, task: str) -> str:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
            done = subprocess.run(
                [
                    *(shutil.which("chromium") or "chromium", "--headless", "--no-sandbox"),
                    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
                    *("--disable-background-networking", "--disable-component-update"),
                    *(f"--user-data-dir={profile}", "--window-size=1500,1100"),
                    *("--virtual-time-budget=20000", task, self.url + path),
                ],
                capture_output=True,
                text=True,
                timeout=_PAGE_SECONDS,
                check=True,
            )
        return done.stdout


def has_browser() -> bool:
    """Tell whether chromium is there."""
    return shutil.which("chromium") is not None


@contextlib.contextmanager
def web_ui(site: Site, variables: Mapping[str, str] | None = None) -> Iterator[WebUi]:
    """Start the web UI for a site as `make ui` does, with its daemon; stop it at the end."""
    port = _free_port()
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "dagster", "dev"),
            *("-w", "workspace.yaml", "-h", "127.0.0.1", "-p", str(port)),
        ],
        cwd=site.directory,
        env=site.environment | dict(variables or {}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    ui = WebUi(f"http://127.0.0.1:{port}")
    try:
        _wait_until_up(ui)
        yield ui
    finally:
        _end(process)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(ui: WebUi) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if ui.ask("{ repositoriesOrError { __typename } }"):
                return
        assert time.monotonic() < end, "the web UI did not start"
        time.sleep(0.5)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
