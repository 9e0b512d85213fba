"""The warehouse, built by real dbt and DuckDB from a store with a history, and built again."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from elt_env.defs.warehouse import JOB, warehouse_definitions
from elt_env.defs.warehouse_tables import mart_key, raw_key
from elt_env.lockfile.document import Lock
from elt_env.package.target import Target
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.release.record import Action, Release
from elt_env.release.store import ReleaseStore
from elt_env.report.history import read_changes
from elt_env.report.history_rows import TABLES
from elt_env.report.warehouse import FILE_NAME
from elt_env.store.evidence import Evidence, Status
from elt_env.store.locks import Store
from tests.support.commands import REPOSITORY
from tests.support.locks import MOMENT, conda_package, lock_of, pip_package
from tests.support.project import make_project

pytestmark = [
    pytest.mark.xdist_group("warehouse"),  # on one worker: the two builds are shared
    pytest.mark.filterwarnings("ignore:sqlglotrs is deprecated:DeprecationWarning"),
]

_OTHER = Target("elt", "3.12", "linux-64")
_PLANTED = "nobody_waits_for_long"
Content = Mapping[str, list[tuple[Any, ...]]]


def _after(hours: float) -> datetime:
    return MOMENT + timedelta(hours=hours)


_FIRST = lock_of(
    pip_package("dbt-core", "1.11.0", required_by=("dbt-duckdb",)),
    pip_package("gone"),
    conda_package("twin"),
    pip_package("twin", "3.0"),
)
_SECOND = lock_of(
    pip_package("dbt-core", "1.12.0", size=1000, requested=True),
    pip_package("new", released_at=None),
    conda_package("twin"),
    pip_package("twin", "2.0"),
    locked_at=_after(48),
)
_CANDIDATE = lock_of(pip_package("dbt-core", "2.0"), locked_at=_after(72))
_ELSEWHERE = lock_of(pip_package("dbt-core", "1.0"), target=_OTHER, locked_at=_after(1))


def _check(name: str, status: Status, hours: float) -> Evidence:
    return Evidence(name, status, _after(hours), 1.5, "as | seen\nby the check")


def _write_store(home: Path) -> None:
    store = Store(home)
    for lock in (_FIRST, _SECOND, _CANDIDATE, _ELSEWHERE):
        store.write_lock(lock)
    for lock in (_FIRST, _SECOND, _ELSEWHERE):
        store.set_current(lock.target, lock.digest, lock.locked_at)
    store.record(_FIRST.digest, _check("pip_check", "passed", 1))
    store.record(_FIRST.digest, _check("imports", "passed", 2))
    store.record(_SECOND.digest, _check("pip_check", "failed", 90))
    store.record(_SECOND.digest, _check("imports", "not_run", 49))
    moves: list[tuple[Lock, float, Action]] = [
        (_FIRST, 3, "promoted"),
        (_SECOND, 60, "promoted"),
        (_FIRST, 61, "rolled back"),
    ]
    prefix = home / "prefixes" / "somewhere"
    (prefix / "bin").mkdir(parents=True)
    releases = ReleaseStore(Store(home))
    for number, (lock, hours, action) in enumerate(moves, start=1):
        release = Release(
            number, "elt@3.11", lock.digest, None, _after(hours), action, "news", "a test"
        )
        releases.prepare(release, prefix)
        releases.switch(release)


@dataclass(frozen=True)
class Refreshed:
    """A run of the job, and what the file holds after it."""

    run: dg.ExecuteInProcessResult
    content: Content
    said: str


def _refresh(project: Project) -> Refreshed:
    job = warehouse_definitions(project).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        run = job.execute_in_process(instance=instance, raise_on_error=False)
        return Refreshed(run, _content(project), _said(run, instance))


def _said(run: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> str:
    """Return what a person reads of a run: its log, and why it failed."""
    lines = [each.user_message for each in instance.all_logs(run.run_id)]
    for event in run.filter_events(lambda each: each.is_step_failure):
        failure = event.step_failure_data
        lines.append(str(failure.error))
    return "\n".join(lines)


def _content(project: Project) -> Content:
    with duckdb.connect(project.local_home / FILE_NAME, read_only=True) as connection:
        tables = connection.execute(
            "select table_schema || '.' || table_name from information_schema.tables order by all"
        ).fetchall()
        return {
            table: connection.execute(f"from {table} order by all").fetchall()
            for (table,) in tables
        }


def _one(project: Project, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(project.local_home / FILE_NAME, read_only=True) as connection:
        return connection.execute(query).fetchall()


def _metadata(refreshed: Refreshed, key: dg.AssetKey) -> dict[str, Any]:
    events = refreshed.run.get_asset_materialization_events()
    (event,) = (each for each in events if each.asset_key == key)
    return {name: each.value for name, each in event.materialization.metadata.items()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """A project with the repository's marts, and a store with two targets."""
    root = tmp_path_factory.mktemp("warehouse")
    made = make_project(
        root,
        channels=["https://channel.example.invalid"],
        index="https://index.example.invalid/simple",
        policy={"warehouse": True},
        pythons=["3.11", "3.12"],
    )
    shutil.copytree(REPOSITORY / "dbt_project", root / "dbt_project")
    _write_store(made.local_home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ELT_AS_OF", "2026-05-10")
        yield made


@pytest.fixture(scope="module")
def first(project: Project) -> Refreshed:
    return _refresh(project)


@pytest.fixture(scope="module")
def again(project: Project, first: Refreshed) -> Refreshed:
    """The same store, a file that is no database, and a dbt test that fails."""
    assert first.run.success
    planted = project.root / "dbt_project" / "tests" / f"{_PLANTED}.sql"
    planted.write_text("select * from {{ ref('time_to_promote') }} where hours_from_lock > 10")
    (project.local_home / FILE_NAME).write_bytes(b"no database at all" * 1000)
    return _refresh(project)


def test_the_history_is_loaded_as_the_store_tells_it(project: Project, first: Refreshed) -> None:
    assert first.run.success, first.said
    changes = read_changes(Store(project.local_home), {}, print)
    assert {table: len(first.content[f"raw.{table}"]) for table in TABLES} == {
        table: len(each.rows) for table, each in changes.items()
    }
    history = ReleaseStore(Store(project.local_home)).history("elt@3.11")
    query = "select release_number, lock_digest, action from raw.releases order by all"
    assert _one(project, query) == [(each.number, each.digest, each.action) for each in history]
    roles = dict(_one(project, "select lock_digest, role from raw.locks"))
    assert roles == {
        _FIRST.digest: "previous",
        _SECOND.digest: "current",
        _CANDIDATE.digest: "candidate",
        _ELSEWHERE.digest: "current",
    }


def test_columns_have_their_types_even_without_a_value(project: Project, first: Refreshed) -> None:
    assert first.run.success
    query = "select column_name, data_type from duckdb_columns() where schema_name = 'raw'"
    types = dict(_one(project, query))
    assert types["image_digest"] == "VARCHAR"  # no release has an image
    assert types["required_by"] == "VARCHAR[]"
    assert types["size_bytes"] == "BIGINT"
    assert types["released_at"].startswith("TIMESTAMP")


def test_the_marts_have_the_right_numbers(project: Project, first: Refreshed) -> None:
    assert first.run.success
    assert _one(
        project,
        "select release_number, hours_from_lock, hours_from_check from marts.time_to_promote "
        "order by all",
    ) == [(1, 3.0, 2.0), (2, 12.0, 11.0)]
    assert _one(
        project,
        "select target, changes, added, removed, upgraded, downgraded, hours_since_last "
        "from marts.lock_changes_over_time order by target, locked_at",
    ) == [
        ("elt@3.11", 5, 5, 0, 0, 0, None),
        ("elt@3.11", 4, 1, 1, 1, 1, 48),
        ("elt@3.12", 2, 2, 0, 0, 0, None),
    ]
    assert _one(
        project,
        "select target, packages, changes, checks_failed, checks_not_run, is_released, "
        "released_digest from marts.environment_health order by target",
    ) == [("elt@3.11", 5, 4, 1, 1, False, _FIRST.digest), ("elt@3.12", 2, 2, 0, 0, False, None)]
    assert _one(
        project, "select age_days, staleness from marts.package_freshness where package = 'new'"
    ) == [(None, "unknown")]


def test_data_tests_are_checks_and_hold(first: Refreshed) -> None:
    checks = first.run.get_asset_check_evaluations()
    assert len(checks) > 60
    assert [each.check_name for each in checks if not each.passed] == []
    checked = {each.asset_key for each in checks}
    assert {raw_key("locks"), mart_key("stg_locks"), mart_key("environment_health")} <= checked


def test_what_is_in_a_table_is_shown(first: Refreshed) -> None:
    raw = _metadata(first, raw_key("locks"))
    assert raw["dagster/row_count"] == 4
    assert "| elt@3.11 |" in raw["preview"]
    mart = _metadata(first, mart_key("environment_health"))
    assert mart["dagster/row_count"] == 2
    assert (mart["checks_failed"], mart["released"]) == (1, 0)
    assert mart["preview"].startswith("| target | lock_digest |")
    assert _metadata(first, mart_key("time_to_promote"))["median_hours_from_lock"] == 7.5


def test_assets_are_described_and_stand_in_one_line(project: Project) -> None:
    graph = warehouse_definitions(project).resolve_asset_graph()
    mine = [graph.get(key) for key in graph.materializable_asset_keys]
    assert {each.group_name for each in mine} == {"warehouse"}
    for each in mine:
        assert each.description, each.key
        shown = each.metadata["dagster/column_schema"]
        schema = shown.value if isinstance(shown, dg.TableSchemaMetadataValue) else shown
        assert isinstance(schema, dg.TableSchema)
        assert all(column.description for column in schema.columns), each.key
    assert raw_key("locks") in graph.get(mart_key("stg_locks")).parent_keys
    assert dg.AssetKey(["elt", "release"]) in graph.get(raw_key("releases")).parent_keys


def test_built_again_it_holds_the_same(first: Refreshed, again: Refreshed) -> None:
    assert again.content.keys() == first.content.keys()
    for table, rows in first.content.items():
        assert again.content[table] == rows, table


def test_what_is_new_is_loaded_beside_what_is_there(project: Project, tmp_path: Path) -> None:
    place = tmp_path / "project"
    shutil.copytree(project.root, place)
    copy = open_project(place)
    (copy.local_home / FILE_NAME).unlink(missing_ok=True)
    assert sum(_load(copy).values()) > 20
    assert sum(_load(copy).values()) == 0
    store = Store(copy.local_home)
    store.record(_SECOND.digest, _check("pip_check", "passed", 95))
    store.set_current(_CANDIDATE.target, _CANDIDATE.digest, _after(96))
    new = _load(copy)
    # The candidate is compared with the lock before it, and three locks have another role.
    assert new.pop("lock_changes") > 0
    assert new == {"locks": 3, "packages": 0, "evidence": 2, "releases": 0}
    bit_by_bit = _content(copy)
    assert _load(copy, full=True)["packages"] == len(bit_by_bit["raw.packages"])
    assert _content(copy) == bit_by_bit


def _load(project: Project, **config: bool) -> dict[str, int]:
    """Load the history, and return how many rows were loaded of each table."""
    job = warehouse_definitions(project).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        run = job.execute_in_process(
            instance=instance,
            asset_selection=[raw_key(each) for each in TABLES],
            run_config={"ops": {"load_history": {"config": config}}},
        )
    found = Refreshed(run, {}, "")
    return {each: _metadata(found, raw_key(each))["rows_loaded"] for each in TABLES}


def test_a_file_that_is_no_database_is_kept_aside(project: Project, again: Refreshed) -> None:
    aside = project.local_home / f"{FILE_NAME}.unreadable"
    assert aside.read_bytes().startswith(b"no database at all")
    assert f"It is kept as {aside}" in again.said


def test_a_data_test_that_fails_ends_the_run(project: Project, again: Refreshed) -> None:
    assert not again.run.success
    failed = [each for each in again.run.get_asset_check_evaluations() if not each.passed]
    assert [(each.check_name, each.asset_key) for each in failed] == [
        (_PLANTED, mart_key("time_to_promote"))
    ]
    assert "dbt build failed:\n" in again.said
    assert f"Failure in test {_PLANTED}" in again.said
    assert list((project.local_home / "work").glob("*/*/run_results.json"))  # for a look


def test_definitions_load_without_pandas_and_dbt(project: Project, first: Refreshed) -> None:
    assert first.run.success
    program = (
        "import sys, pathlib\n"
        "from elt_env.defs.warehouse import warehouse_definitions\n"
        "from elt_env.project.settings import open_project\n"
        "warehouse_definitions(open_project(pathlib.Path(sys.argv[1]))).resolve_job_def(sys.argv[2])\n"
        "print(sorted({'dagster_dbt', 'dbt', 'duckdb', 'pandas'} & set(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, project.root, JOB],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stdout == "['dagster_dbt']\n"


def test_a_project_that_dbt_cannot_parse_fails_the_job_alone(
    project: Project, tmp_path: Path
) -> None:
    root = tmp_path / "project"
    broken = make_project(
        root,
        channels=["https://channel.example.invalid"],
        index="https://index.example.invalid/simple",
        policy={"warehouse": True},
    )
    shutil.copytree(project.root / "dbt_project", root / "dbt_project")
    (root / "dbt_project" / "dbt_project.yml").write_text("name: [broken")
    job = warehouse_definitions(broken).resolve_job_def(JOB)
    with dg.DagsterInstance.ephemeral() as instance:
        run = job.execute_in_process(instance=instance, raise_on_error=False)
        said = _said(run, instance)
    assert not run.success
    assert f"dbt cannot parse {root / 'dbt_project'}" in said


def test_without_a_dbt_project_there_is_no_warehouse(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bare = make_project(
        tmp_path,
        channels=["https://channel.example.invalid"],
        index="https://index.example.invalid/simple",
        policy={"warehouse": True},
    )
    assert not warehouse_definitions(bare).assets
    assert "There is no warehouse" in caplog.text


def test_the_policy_can_do_without(tmp_path: Path) -> None:
    plain = make_project(
        tmp_path,
        channels=["https://channel.example.invalid"],
        index="https://index.example.invalid/simple",
    )
    assert not warehouse_definitions(plain).assets
