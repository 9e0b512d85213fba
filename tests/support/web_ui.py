"""Dagster's web UI as `make ui` starts it: looked at and clicked in a browser, asked by GraphQL."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, sync_playwright
from playwright.sync_api import TimeoutError as TooLateError

from tests.support.commands import REPOSITORY, Site

_START_SECONDS = 180
_RUN_SECONDS = 600
_PAGE_MILLISECONDS = 90_000
_MENU_MILLISECONDS = 10_000
_ENDED = ("SUCCESS", "FAILURE", "CANCELED")
_BY_ITSELF = ("dagster/sensor_name", "dagster/schedule_name", "dagster/from_automation_condition")
_BROWSER = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)

_RUNS = """
query Runs { runsOrError(limit: 50) { ... on Runs { results { runId tags { key } } } } }
"""
_STATUS = """
query Status($id: ID!) {
  runOrError(runId: $id) { ... on Run { status stepStats { stepKey status } } }
}
"""


@dataclass(frozen=True)
class WebUi:
    """A running web UI, and a page of a browser that shows it."""

    url: str
    browser: Page

    def ask(self, query: str, **variables: object) -> dict[str, Any]:
        """Return the data of a GraphQL answer."""
        return ask(self.url, query, **variables)

    def status(self, run: str) -> str:
        """Return the run's status, as in `SUCCESS`."""
        return str(self.ask(_STATUS, id=run)["runOrError"]["status"])

    def wait(self, run: str) -> str:
        """Return the status that the run ended with."""
        wait_until(lambda: self.status(run) in _ENDED, f"the end of run {run}")
        return self.status(run)

    def wait_for_step(self, run: str, step: str) -> None:
        """Wait until a step of the run has begun; its name ends so."""
        wait_until(lambda: self._has_begun(run, step), f"step {step}")

    def _has_begun(self, run: str, step: str) -> bool:
        steps = self.ask(_STATUS, id=run)["runOrError"]["stepStats"]
        return any(each["stepKey"].endswith(step) for each in steps if each["status"])

    def go(self, path: str) -> Page:
        """Open a page."""
        self.browser.goto(self.url + path)
        return self.browser

    def materialize(self, path: str, python: str) -> str:
        """Materialize what a page is about for the Python that is picked; return the run's id.

        Args:
            path: of the page of an asset, or of a job of assets.
            python: the partition.
        """
        page = self.go(path)
        button(page, "Materialize( all)?…").first.click()
        item = page.locator("[class*=Menu_menuItem__]").filter(has_text=python)
        _pick(page.get_by_text("Select a partition or create one"), item)
        page.keyboard.press("Escape")
        page.get_by_role("button", name="Launch 1 run").click()
        return self._launched()

    def fill_in(self, job: str, partition: str, **config: str) -> str:
        """Pick a partition and fill in the form of a job on its launchpad; return the run's id."""
        page = self.go(f"/locations/elt_env/jobs/{job}/playground")
        page.get_by_text("No errors").first.wait_for()  # before it, the page closes what is open
        item = page.locator("[class*=Menu_menuItem__]").filter(has_text=partition)
        _pick(page.get_by_placeholder("Partition"), item)
        for name, value in config.items():
            line = page.locator(".CodeMirror-line").filter(has_text=f"{name}: ")
            line.first.click()
            page.keyboard.press("End")
            page.keyboard.press("ArrowLeft")  # into the quotes that stand there
            page.keyboard.type(value)
        return self.launched_by(button(page, "Launch Run"))

    def launched_by(self, click: Locator) -> str:
        """Click on what launches a run; return its id."""
        known = self._runs()
        click.click()
        wait_until(lambda: self._by_hand() - known, "a new run")
        return next(iter(self._by_hand() - known))

    def terminate(self, run: str) -> str:
        """End a run by the button of its page; return the status that it ends with."""
        page = self.go(f"/runs/{run}")
        button(page, "Terminate").click()
        button(page.get_by_role("dialog"), "Terminate.*").click()
        return self.wait(run)

    def re_execute(self, run: str) -> str:
        """Execute what a run did not come to, by the menu of its page; return the new run's id."""
        page = self.go(f"/runs/{run}")
        # Before its last event is there, the page knows of no failed step.
        page.get_by_text("Process for run exited").first.wait_for()
        button(page, "Re-execute.*").locator("xpath=following::button[1]").first.click()
        return self.launched_by(page.get_by_text("From failure", exact=True))

    def picture(self, path: Path) -> None:
        """Keep a picture of what is shown."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self.browser.screenshot(path=path)

    def _launched(self) -> str:
        """Return the run that the page says was launched."""
        told = self.browser.get_by_text(re.compile("Launched run [0-9a-f]{8}")).last.inner_text()
        start = told.split()[-1]
        wait_until(lambda: any(each.startswith(start) for each in self._runs()), f"run {start}")
        return next(each for each in self._runs() if each.startswith(start))

    def _runs(self) -> set[str]:
        return {each["runId"] for each in self.ask(_RUNS)["runsOrError"]["results"]}

    def _by_hand(self) -> set[str]:
        """Return the runs that no sensor and no schedule began."""
        return {
            each["runId"]
            for each in self.ask(_RUNS)["runsOrError"]["results"]
            if not any(tag["key"] in _BY_ITSELF for tag in each["tags"])
        }


def button(within: Page | Locator, words: str) -> Locator:
    """Return the buttons whose text is that, as a regular expression."""
    return within.locator("button").filter(has_text=re.compile(f"^{words}$"))


def _pick(box: Locator, item: Locator) -> None:
    """Pick from a menu, which the page closes when more of what it asked for arrives."""

    def is_picked() -> bool:
        box.click()
        try:
            item.click(timeout=_MENU_MILLISECONDS)
        except TooLateError:
            return False
        return True

    wait_until(is_picked, "the menu")


def wait_until(holds: Callable[[], object], meaning: str) -> None:
    """Wait until something holds."""
    end = time.monotonic() + _RUN_SECONDS
    while not holds():
        assert time.monotonic() < end, f"{meaning} did not come"
        time.sleep(0.5)


def has_browser() -> bool:
    """Tell whether chromium is there."""
    return shutil.which("chromium") is not None


def add_make(directory: Path) -> None:
    """Let `make ui` work in a copy of the project: with this process's own `.venv`."""
    for name in ("Makefile", "bootstrap.py", "requirements.txt", "elt_env/defs/dagster.yaml"):
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, directory / name)
    venv = directory / ".venv"
    venv.mkdir()
    for each in Path(sys.prefix).iterdir():
        if each.name != ".ready":
            (venv / each.name).symlink_to(each)
    (venv / ".ready").write_text(f"{directory}\n")


@contextlib.contextmanager
def web_ui(
    site: Site, variables: Mapping[str, str] | None = None, dev: Sequence[str] = ()
) -> Iterator[WebUi]:
    """Run the web UI of a site, see it in a browser, and stop both at the end.

    Args:
        site: the site.
        variables: more of them.
        dev: options of `dagster dev`, which is run then; by default it is `make ui`.
    """
    port = free_port()
    command = ["make", "-o", ".venv/.ready", "ui", f"PORT={port}"]
    if dev:
        where = ["-h", "127.0.0.1", "-p", str(port)]
        command = [sys.executable, "-m", "dagster", "dev", *dev, *where]
    log = site.directory / "web-ui.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=site.directory,
            env=site.environment | dict(variables or {}),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        _wait_until_up(url, process, log)
        with _browser() as page:
            yield WebUi(url, page)
    finally:
        _end(process)


@contextlib.contextmanager
def _browser() -> Iterator[Page]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=_BROWSER
        )
        try:
            page = chromium.new_page(viewport={"width": 1500, "height": 1000})
            page.set_default_timeout(_PAGE_MILLISECONDS)
            yield page
        finally:
            chromium.close()


def ask(url: str, query: str, **variables: object) -> dict[str, Any]:
    """Return the data of a GraphQL answer."""
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{url}/graphql", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: dict[str, Any] = json.load(answer)
    assert "errors" not in content, content
    data: dict[str, Any] = content["data"]
    return data


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_until_up(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while True:
        with contextlib.suppress(OSError):
            if ask(url, "{ repositoriesOrError { __typename } }"):
                return
        up = process.poll() is None and time.monotonic() < end
        assert up, f"the web UI did not start: {log.read_text()[-3000:]}"
        time.sleep(0.5)


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait(20)
