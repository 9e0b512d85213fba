"""Many environments at once: how long things take, and what one cron minute of relocks comes to.

Used as `python -m tests.support.load --environments 20`. Each environment has a small spec and
three Pythons. The web UI is started as `make ui` starts it, and all relock at one minute: each
target is locked, built, proven, packed and released. With `--again` all do so once more, when there
is nothing newer. Then every target has had one run a minute, which succeeded, and no more ran at
once than the instance admits; the pages that a person opens are opened in a browser.

A run costs 16 s of a core from nothing, and 8 s where nothing is newer, of which 4 s are the start
of Python and Dagster. It ends by itself: when all runs have, or when none began or ended for long.
"""

from __future__ import annotations

import argparse
import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import dagster as dg
import pytest
import tomli_w
import yaml
from playwright.sync_api import expect

from tests.support.channel import Channel
from tests.support.commands import REPOSITORY, Site
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.python_channel import shared_python_channel
from tests.support.web_ui import WebUi, add_make, web_ui
from tests.support.wheels import make_wheel

_PYTHONS = ("3.10", "3.11", "3.12")
_AT_ONCE = 4  # runs, as in elt_env/defs/dagster.yaml
_START = 30.0  # seconds until the minute in which all relock, at least
_LOADS = 10  # times that definitions are loaded until schedules tick
_STALL = 300.0  # seconds in which no run begins or ends, and none will
_PAUSE = 2.0  # seconds
_BEFORE = timedelta(seconds=5)
_PAGE_MILLISECONDS = 60_000
_LOADING = """
import time
start = time.perf_counter()
from elt_env.definitions import defs
found = defs.get_repository_def()
jobs = [each for each in found.get_all_jobs() if not each.name.startswith("__")]
seconds = time.perf_counter() - start
print(f"definitions: {seconds:.1f} s, {len(jobs)} jobs, {len(found.sensor_defs)} sensors, "
      f"{len(found.schedule_defs)} schedules, {len(list(defs.resolve_all_asset_specs()))} assets")
"""
_PAGES = {
    # The path of each page, and a text that is there when it can be read.
    "overview": ("/assets/overview", "what waits, and why it does not come"),
    "assets": ("/assets", "team-00"),
    "lineage of one": ("/locations/elt_env/asset-groups/team_00/lineage", "lockfile"),
    "one asset": ("/assets/team-00/release", "that is in use"),
    "checks of one": ("/assets/team-00/environment?view=checks", "pip_check"),
    "jobs": ("/locations/elt_env/jobs", "team_00_build"),
    "automation": ("/automation", "team_00_relock_schedule"),
    "runs": ("/runs", "Show runs within backfills"),
}


def make_load(root: Path, environments: int, channel: Channel, index: IndexServer) -> Site:
    """Write a project with so many environments, and all that `make ui` needs in it."""
    project = root / "project"
    (project / "environments").mkdir(parents=True)
    dependencies = ["python", {"pip": ["tool"]}]
    for name in _names(environments):
        spec = {"name": name, "channels": [channel.url], "dependencies": dependencies}
        (project / "environments" / f"{name}.yml").write_text(yaml.safe_dump(spec))
    add_make(project)
    shutil.copy(REPOSITORY / "workspace.yaml", project)
    site = Site(project, project / ".elt_env", project / ".dagster")
    write_policy(site, environments, index, None)
    return site


def write_policy(
    site: Site, environments: int, index: IndexServer, minute: datetime | None
) -> None:
    """Write the policy: all relock at that minute, or never."""
    table = {
        "index": index.url,
        "image-base": "host",
        "warehouse": False,
        "watch": True,
        "watch-interval": "1 day",
        "gc-schedule": "",
        "relock-schedule": f"{minute.minute} {minute.hour} * * *" if minute else "",
        "environments": {
            name: {"spec": f"environments/{name}.yml", "pythons": list(_PYTHONS)}
            for name in _names(environments)
        },
    }
    text = tomli_w.dumps({"tool": {"elt-env": table}})
    (site.directory / "pyproject.toml").write_text(text)


def _names(environments: int) -> list[str]:
    return [f"team-{number:02}" for number in range(environments)]


def _loading(site: Site) -> str:
    """Return how long the definitions take to load in a process of their own, and what they are."""
    done = subprocess.run(
        [sys.executable, "-c", _LOADING],
        cwd=site.directory,
        env=site.environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=True,
    )
    return done.stdout.strip()


def _page_seconds(ui: WebUi) -> Iterator[str]:
    """Open each page twice, and yield how long it takes each time until it can be read."""
    for name, (path, text) in _PAGES.items():
        seconds = []
        for _ in range(2):
            start = time.perf_counter()
            page = ui.go(path)
            try:
                expect(page.get_by_text(text).first).to_be_visible(timeout=_PAGE_MILLISECONDS)
            except AssertionError:
                yield f"WRONG: page {name} does not show '{text}'"
            seconds.append(f"{time.perf_counter() - start:.1f} s")
        yield f"page {name}: {', then '.join(seconds)}"


def _relocks(instance: dg.DagsterInstance, since: datetime) -> list[dg.RunRecord]:
    """Return the runs that schedules began since a moment."""
    wanted = dg.RunsFilter(created_after=since)
    records = instance.get_run_records(wanted, ascending=True)
    return [each for each in records if "dagster/schedule_name" in each.dagster_run.tags]


def _all_runs(instance: dg.DagsterInstance, since: datetime) -> list[dg.RunRecord]:
    return list(instance.get_run_records(dg.RunsFilter(created_after=since), ascending=True))


def _wait(instance: dg.DagsterInstance, minute: datetime, expected: int) -> list[dg.RunRecord]:
    """Return the runs of the minute when all are over, or when nothing happens any more."""
    seen: list[tuple[str, str]] = []
    moved = max(time.time(), minute.timestamp())
    while True:
        found = _relocks(instance, minute - _BEFORE)
        states = [(each.dagster_run.run_id, each.dagster_run.status.value) for each in found]
        if states != seen:
            seen, moved = states, time.time()
        is_over = all(each.dagster_run.is_finished for each in found)
        if (len(found) >= expected and is_over) or time.time() - moved > _STALL:
            return found
        time.sleep(_PAUSE)


def _at_once(records: Sequence[dg.RunRecord]) -> int:
    """Return how many of these ran at the same time at most."""
    started = [each for each in records if each.start_time is not None]
    begins = [(each.start_time or 0.0, 1) for each in started]
    ends = [(each.end_time or float("inf"), -1) for each in started]
    running_now = most = 0
    for _, step in sorted(begins + ends):
        running_now += step
        most = max(most, running_now)
    return most


def _faults(
    records: Sequence[dg.RunRecord], every: Sequence[dg.RunRecord], wanted: int
) -> list[str]:
    """Return what is wrong with the runs of a minute."""
    targets = Counter(
        (each.dagster_run.job_name, each.dagster_run.tags["dagster/partition"]) for each in records
    )
    ends = Counter(each.dagster_run.status.value for each in records)
    faults = []
    if len(targets) != wanted:
        faults.append(f"{wanted - len(targets)} of {wanted} targets had no run")
    faults += [f"{target} had {count} runs" for target, count in targets.items() if count > 1]
    if set(ends) != {"SUCCESS"}:
        faults.append(f"the runs ended so: {dict(ends)}")
    if _at_once(every) > _AT_ONCE:
        faults.append(f"{_at_once(every)} runs at once, where {_AT_ONCE} are admitted")
    return faults


def relock_minute(
    site: Site, environments: int, index: IndexServer, seconds: float, what: str
) -> Iterator[str]:
    """Let all relock at one minute under `make ui`; yield what is seen, faults marked as such.

    Args:
        site: where the environments are.
        environments: how many there are.
        index: what their packages come from.
        seconds: from now until that minute, at least.
        what: the minute, for a person.
    """
    earliest = datetime.now(timezone.utc) + timedelta(seconds=seconds)
    minute = earliest.replace(second=0, microsecond=0) + timedelta(minutes=1)
    write_policy(site, environments, index, minute)
    started = time.perf_counter()
    with web_ui(site) as ui, dg.DagsterInstance.from_config(str(site.dagster_home)) as instance:
        ui.go("/overview")
        yield f"{what}: `make ui` answers after {time.perf_counter() - started:.0f} s"
        wanted = environments * len(_PYTHONS)
        records = _wait(instance, minute, wanted)
        every = _all_runs(instance, minute - _BEFORE)
        yield f"{what}: {_told(records, every, minute, wanted)}"
        yield from (f"WRONG: {each}" for each in _faults(records, every, wanted))
        yield from _page_seconds(ui)


def _told(
    records: Sequence[dg.RunRecord],
    every: Sequence[dg.RunRecord],
    minute: datetime,
    wanted: int,
) -> str:
    """Return what the runs of a minute came to."""
    last = max((each.end_time or 0.0 for each in records), default=0.0)
    seconds = [
        each.end_time - each.start_time for each in records if each.end_time and each.start_time
    ]
    return (
        f"{len(records)} relocks of {wanted} targets in {last - minute.timestamp():.0f} s, "
        f"{_at_once(every)} at once at most, {sum(seconds) / max(len(seconds), 1):.0f} s each; "
        f"{len(every) - len(records)} other runs"
    )


def _all(site: Site, index: IndexServer, environments: int, *, again: bool) -> Iterator[str]:
    started = time.perf_counter()
    yield _loading(site)
    wait = _START + _LOADS * (time.perf_counter() - started)
    for what in ("from nothing", "nothing newer") if again else ("from nothing",):
        yield from relock_minute(site, environments, index, wait, what)


@contextlib.contextmanager
def _site(root: Path, environments: int) -> Iterator[tuple[Site, IndexServer]]:
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(root / "uv"))
        patch.setenv("PYTHONWARNINGS", "ignore")
        index.add(make_wheel(root, "tool", "1.0"))
        channel = shared_python_channel(root, _PYTHONS)
        yield make_load(root, environments, channel, index), index


def main() -> int:
    """Tell what is measured; return 1 where anything is wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=int, default=20)
    parser.add_argument("--again", action="store_true", help="relock once more, nothing newer")
    options = parser.parse_args()
    faults = 0
    with (
        tempfile.TemporaryDirectory(prefix="elt-env-load-") as name,
        _site(Path(name), options.environments) as (site, index),
    ):
        for line in _all(site, index, options.environments, again=options.again):
            faults += line.startswith("WRONG")
            _say(line)
    _say(f"WRONG: {faults} faults" if faults else "RIGHT: none lost, none twice, none too many")
    return int(faults > 0)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
