"""The smoke checks on the environment that the real spec gives, and the faults they catch."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.lockfile.changes import compare
from elt_env.lockfile.document import Lock
from elt_env.machine.platform import target_here
from elt_env.project.settings import open_project
from elt_env.proof.checks import smoke
from elt_env.proof.checks.smoke import Bench, Needs, conduct
from elt_env.proof.checks.smoke_dagster import dagster_smoke
from elt_env.proof.checks.smoke_dbt import build, dbt_smoke, dbt_variables, query
from elt_env.proof.checks.smoke_meltano import LOADED, load, meltano_smoke
from elt_env.proof.prove import Check, Finding
from elt_env.store.locks import Pointer, Store
from elt_env.tools import Tools, open_tools
from tests.support.commands import REPOSITORY, Site
from tests.support.real_spec import copy_project

# On one worker: they share what was built.
pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("e2e")]

_LOADER = "loaders/target-jsonl/venv/bin/target-jsonl"
_EXTRACTOR = "extractors/tap-jsonl/venv/bin/tap-jsonl"
_LIBRARY = "loaders/target-jsonl/venv/lib/python3.11"


@dataclass(frozen=True)
class Proof:
    """A project directory of a test's own, and the built prefix it is tried on."""

    toolbox: Tools
    prefix: Prefix

    @property
    def root(self) -> Path:
        return self.toolbox.project.root

    @property
    def work(self) -> list[Path]:
        """What was kept."""
        return sorted((self.toolbox.project.local_home / "work").glob("*/*"))

    def run(self, check: Check) -> Finding:
        return check(self.prefix, self.toolbox, print)


@pytest.fixture
def proof(
    site: Site,
    first_run: subprocess.CompletedProcess[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Proof]:
    del first_run
    root = copy_project(site.directory, tmp_path / "project with spaces")
    monkeypatch.setenv("ELT_ENV_HOME", str(site.home))
    toolbox = open_tools(open_project(root), "elt")
    lock = toolbox.store.current_lock(target_here("elt", "3.11"))
    assert lock is not None
    yield Proof(toolbox, Prefix(toolbox.store.prefix_path(lock), lock))
    shutil.rmtree(site.home / "work", ignore_errors=True)


def test_plugins_are_installed_once(
    proof: Proof, first_run: subprocess.CompletedProcess[str]
) -> None:
    assert "installing the plugins" in first_run.stderr
    again = proof.run(meltano_smoke)
    assert "installing the plugins" not in again.log


@contextlib.contextmanager
def _replaceable(proof: Proof, place: str) -> Iterator[Path]:
    """Yield the script of an installed plugin, which every run copies; put back at the end."""
    cache = proof.toolbox.project.local_home / "cache" / "meltano"
    installed = [each for each in cache.iterdir() if (each / _LIBRARY).exists()]
    # That of the first build; other tests pin other bytes, and so install their own.
    script = min(installed, key=lambda each: each.stat().st_mtime) / place
    real = script.with_name("real")
    script.rename(real)
    shutil.copy(real, script)
    yield script
    real.replace(script)


@pytest.fixture
def loader(proof: Proof) -> Iterator[Path]:
    with _replaceable(proof, _LOADER) as script:
        yield script


@pytest.fixture
def extractor(proof: Proof) -> Iterator[Path]:
    with _replaceable(proof, _EXTRACTOR) as script:
        yield script


def test_a_row_lost_in_the_load_is_caught(proof: Proof, loader: Path) -> None:
    loader.write_text(
        "#!/bin/sh\n"
        """sed '/"record": *"packages"/{/"package": *"certifi"/d}' | """
        """"$(dirname "$0")/python" "$(dirname "$0")/real" "$@"\n"""
    )
    for number, check in enumerate((meltano_smoke, dbt_smoke), start=1):
        finding = proof.run(check)
        assert finding.status == "failed"
        assert len(proof.work) == number
        kept = finding.detail.splitlines()[-1].removeprefix("kept for a look: ")
        assert Path(kept) in proof.work
        rows = _rows_extracted(finding)
        assert f"extracted {rows} rows and loaded {rows - 1}" in finding.detail
        assert "1 lost: packages certifi" in finding.detail


def test_dbt_builds_once_over_what_meltano_smoke_has_loaded(proof: Proof, loader: Path) -> None:
    assert proof.run(meltano_smoke).status == "passed"
    loader.write_text("#!/bin/sh\nexit 7\n")
    assert proof.run(dbt_smoke).status == "passed"
    assert proof.run(dbt_smoke).status == "failed"


def test_a_row_lost_in_the_tap_itself_is_caught(proof: Proof, extractor: Path) -> None:
    extractor.write_text(
        """#!/bin/sh\n"$(dirname "$0")/python" "$(dirname "$0")/real" "$@" | """
        """sed '/"record": *"packages"/{/"package": *"certifi"/d}'\n"""
    )
    finding = proof.run(meltano_smoke)
    assert finding.status == "failed"
    rows = _rows_extracted(finding)
    assert f"extracted {rows} rows and loaded {rows - 1}" in finding.detail
    assert "1 lost: packages certifi" in finding.detail


def _rows_extracted(finding: Finding) -> int:
    words = finding.detail.split()
    return int(words[words.index("extracted") + 1])


def test_a_row_lost_after_the_load_is_caught_by_dbt(proof: Proof) -> None:
    def body(bench: Bench) -> Finding:
        loaded = load(bench).directory
        lines = (loaded / LOADED).read_text().splitlines(keepends=True)
        (loaded / LOADED).write_text("".join(lines[:1] + lines[2:]))
        return build(bench, loaded)

    needs = Needs((), ())
    finding = conduct(body, needs, proof.prefix, proof.toolbox, print)
    assert finding.status == "failed"
    assert "test every_locked_package_is_in_the_mart: fail" in finding.detail


def test_a_tool_that_hangs_is_ended_at_the_limit(
    proof: Proof, loader: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "_LIMIT", 8.0)
    loader.write_text("#!/bin/sh\nexec sleep 4321\n")
    start = time.monotonic()
    finding = meltano_smoke(proof.prefix, proof.toolbox, print)
    assert finding.status == "failed"
    assert "meltano was ended at its time limit of 8 s" in finding.detail
    assert time.monotonic() - start < 30
    left = subprocess.run(["pgrep", "-f", "sleep 4321"], capture_output=True, check=False)
    assert left.stdout == b""


def test_a_plugin_that_cannot_be_installed_is_named(proof: Proof) -> None:
    pins = proof.root / "meltano" / "requirements" / "target-jsonl.txt"
    pins.write_text(pins.read_text().replace("\ntarget-jsonl==0.1.4", "\ntarget-jsonl==99"))
    finding = proof.run(meltano_smoke)
    assert finding.status == "failed"
    assert "cannot install target-jsonl" in finding.detail
    assert "tap-jsonl" not in finding.detail.splitlines()[0]
    assert "meltano.yml" in finding.detail


def test_a_dbt_parse_error_is_told_in_dbt_s_words(proof: Proof) -> None:
    model = proof.root / "dbt_project" / "models" / "marts" / "broken.sql"
    model.write_text("select * from {{ ref('no_such_model') }}")
    with ThreadPoolExecutor(2) as pool:
        findings = [*pool.map(proof.run, (dbt_smoke, dagster_smoke))]
        for finding, how in zip(findings, ("exit code 2", "dbt parse fails"), strict=True):
            assert finding.status == "failed"
            assert how in finding.detail
            assert "no_such_model" in finding.detail
            assert "dbt_project/" in finding.detail


def test_a_missing_tool_is_a_failed_check(proof: Proof, tmp_path: Path) -> None:
    elsewhere = Prefix(tmp_path / "no-prefix", proof.prefix.lock)
    finding = meltano_smoke(elsewhere, proof.toolbox, print)
    assert finding.status == "failed"
    assert "no-prefix/bin/meltano is not there" in finding.detail


@pytest.mark.parametrize("check", [meltano_smoke, dbt_smoke, dagster_smoke])
def test_in_a_directory_without_the_projects_the_checks_bring_them(
    proof: Proof, check: Check
) -> None:
    shutil.rmtree(proof.root / "meltano")
    # A team's own project, which knows nothing of locks, is not what is run.
    (proof.root / "dbt_project" / "dbt_project.yml").write_text("name: shop\nprofile: snow\n")
    finding = proof.run(check)
    assert finding.status == "passed", finding


def test_without_meltano_in_the_lock_a_check_is_not_run(proof: Proof) -> None:
    lock = proof.prefix.lock
    packages = tuple(each for each in lock.packages if each.name != "meltano")
    prefix = Prefix(proof.prefix.path, replace(lock, packages=packages))
    finding = meltano_smoke(prefix, proof.toolbox, print)
    assert finding.status == "not_run"
    assert "elt@3.11 has no meltano" in finding.detail


def test_the_mart_of_changes_agrees_with_the_diff(
    proof: Proof, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = proof.prefix.lock
    older = _another(lock)
    monkeypatch.setattr(
        Store, "pointer", lambda *_: Pointer(lock.digest, older.digest, lock.locked_at)
    )
    monkeypatch.setattr(Store, "read_lock", lambda *_: older)
    changes: list[dict[str, str]] = []

    def body(bench: Bench) -> Finding:
        finding = build(bench, load(bench).directory)
        path = Path(dbt_variables(bench, bench.place.path)["ELT_DUCKDB_PATH"])
        sql = (
            "select to_json(list(c)) from (select package, manager, change from elt.lock_changes) c"
        )
        answer = query(bench.prefix, path, {"changes": sql}, bench.limit, bench.say)
        changes.extend(json.loads(answer["changes"]))
        return finding

    needs = Needs((), ())
    finding = conduct(body, needs, proof.prefix, proof.toolbox, print)
    assert finding.status == "passed", finding
    expected = {(each.name, each.kind) for each in compare(older, lock)}
    assert {(each["package"], each["change"]) for each in changes} == expected
    kinds = {kind for _, kind in expected}
    assert kinds == {"added", "removed", "upgraded", "downgraded", "rebuilt", "moved"}


def _another(lock: Lock) -> Lock:
    """Return a lock that differs from this one in every way there is."""
    versions = iter(["0.0.1", "99!1", "0.dev1", "9999.post1", "1!0a1", "0.0.0rc2"])
    packages = list(lock.packages)
    for place in range(len(packages)):
        each = packages[place]
        if each.name in ("python", "certifi"):
            continue
        if place % 5 == 0:
            packages[place] = replace(each, version=next(versions, "0.1"))
        elif place % 5 == 1:
            packages[place] = replace(each, sha256=each.sha256[::-1])
    gone = next(each for each in reversed(packages) if each.manager == "pip")
    packages.remove(gone)
    packages.append(replace(gone, name="no-longer-there"))
    number, moved = next(
        (place, each) for place, each in enumerate(packages) if each.manager == "conda"
    )
    packages[number] = replace(moved, manager="pip", conda=None)
    moment = lock.locked_at - timedelta(days=1)
    return replace(lock, packages=tuple(packages), locked_at=moment)


def test_what_was_loaded_lies_under_the_stream_s_name() -> None:
    project = (REPOSITORY / "meltano" / "meltano.yml").read_text()
    assert f"stream_name: {LOADED.removesuffix('.jsonl')}" in project
