"""A team's own checks on a small prefix: what each kind finds, and what none of them may do."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from elt_env.environment.project_copy import MOST_BYTES
from elt_env.errors import ProofError
from elt_env.image.pack import pack
from elt_env.image.sandbox.rooted import Bubblewrap, Namespaces
from elt_env.lock.plugin_lock import LockedPlugin, PluginLock
from elt_env.lock.plugin_locks import forget_plugin_lock, read_plugin_lock, write_plugin_lock
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding
from elt_env.proof.prove import Prover, image_prover
from elt_env.release.promote import promote
from elt_env.store.evidence import Evidence, Status
from elt_env.tools import Tools
from tests.support.isolation import clear_settings
from tests.support.own_checks import offer_tools, own_toolbox
from tests.support.proving import pretend_proven, prove_all
from tests.support.said import Said
from tests.support.sample import Sample, silent

_DBT = {
    "dbt_project.yml": "name: shop\nprofile: shop\nmodel-paths: [models]\nmacro-paths: [macros]\n",
    "profiles.yml": (
        "shop: {target: ci, outputs: {ci: {type: duckdb, path: shop.duckdb}, "
        "broken: {type: duckdb, path: /nowhere/at/all.duckdb}}}\n"
    ),
    "models/orders.sql": "select 1 as id, {{ cents('12') }} as price\n",
    "macros/cents.sql": "{% macro cents(text) %}{{ text }} * 100{% endmacro %}\n",
    "models/schema.yml": "models: [{name: orders, columns: [{name: id, data_tests: [unique]}]}]\n",
}
_DAGSTER = {
    "src/shop/__init__.py": "",
    "src/shop/definitions.py": (
        "import dagster as dg\n@dg.asset\ndef orders(): ...\n@dg.job\ndef nightly(): ...\n"
        "defs = dg.Definitions(assets=[orders], jobs=[nightly])\n"
    ),
    "pyproject.toml": '[tool.dagster]\nmodule_name = "shop.definitions"\n',
}


@pytest.fixture(scope="module")
def tools_lock(shared_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lock]:
    """A lock with dbt, Dagster and pytest, which hand on to this interpreter's."""
    with pytest.MonkeyPatch.context() as patch:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        offer_tools(shared_sample)
        yield shared_sample.lock(pip=["dbt-core", "dagster", "pytest"])


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which the prefix is built once."""
    return tmp_path_factory.mktemp("own") / "platform"


@pytest.fixture
def team(tmp_path: Path) -> Path:
    """Where the team's projects are: elsewhere."""
    return tmp_path / "team"


def write(directory: Path, files: Mapping[str, str]) -> Path:
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return directory


def run_one(root: Path, lock: Lock, **check: Any) -> Evidence:
    """Return what the check `own` of these keys finds."""
    toolbox = own_toolbox(
        root, lock, {"own": {key.replace("_", "-"): v for key, v in check.items()}}
    )
    (evidence,) = prove_all(lock, toolbox, silent, names=["own"], again=True)
    return evidence


def log_of(root: Path, evidence: Evidence) -> str:
    return (root / ".elt_env" / evidence.log).read_text(encoding="utf-8")


@pytest.mark.slow
def test_dbt_builds_a_project_that_lies_elsewhere(root: Path, tools_lock: Lock, team: Path) -> None:
    project = write(team / "analytics", _DBT)
    before = sorted(project.rglob("*"))

    found = run_one(root, tools_lock, kind="dbt", project=str(project))

    assert (found.status, found.detail) == ("passed", "dbt nodes: 1 pass, 1 success")
    assert found.counts == {"nodes": 2, "faulty_nodes": 0}
    assert found.table is not None
    assert found.table.name == "node_results"
    assert sorted(project.rglob("*")) == before


def test_a_failing_test_of_dbt_is_shown_with_its_sql(
    root: Path, tools_lock: Lock, team: Path
) -> None:
    files = {"tests/none_is_cheap.sql": "select * from {{ ref('orders') }} where price < 5000\n"}
    project = write(team / "analytics", {**_DBT, **files})

    found = run_one(root, tools_lock, kind="dbt", project=str(project))

    assert found.status == "failed"
    assert "test none_is_cheap: fail: Got 1 result, configured to fail if != 0" in found.detail
    assert 'from "shop"."main"."orders" where price < 5000' in found.detail
    assert found.table is not None
    first = dict(zip(found.table.columns, found.table.rows[0], strict=True))
    assert first["node"] == "none_is_cheap"
    assert "price < 5000" in str(first["compiled_sql"])


@pytest.mark.slow
def test_a_macro_that_breaks_is_named(root: Path, tools_lock: Lock, team: Path) -> None:
    broken = {"macros/cents.sql": "{% macro cents(text) %}{{ pennies(text) }}{% endmacro %}\n"}
    project = write(team / "analytics", {**_DBT, **broken})
    found = run_one(root, tools_lock, kind="dbt", project=str(project))
    assert found.status == "failed"
    assert "'pennies' is undefined" in found.detail
    assert "model orders (models/orders.sql)" in found.detail


@pytest.mark.slow
def test_dbt_takes_profiles_from_elsewhere_and_another_target(
    root: Path, tools_lock: Lock, team: Path
) -> None:
    files = {name: text for name, text in _DBT.items() if name != "profiles.yml"}
    project = write(team / "analytics", files)
    keys = {"kind": "dbt", "project": str(project)}

    without = run_one(root, tools_lock, **keys)
    assert without.status == "failed"
    assert "`profiles` in [tool.elt-env.environments.elt.checks.own]" in without.detail

    ci = write(team / "ci", {"profiles.yml": _DBT["profiles.yml"]})
    assert run_one(root, tools_lock, **keys, profiles=str(ci)).status == "passed"
    other = run_one(root, tools_lock, **keys, profiles=str(ci), target="broken")
    assert "/nowhere/at/all.duckdb" in other.detail


@pytest.mark.slow
def test_a_dbt_that_selects_nothing_is_a_warning(root: Path, tools_lock: Lock, team: Path) -> None:
    project = write(team / "analytics", _DBT)
    found = run_one(root, tools_lock, kind="dbt", project=str(project), run="build -s tag:none")
    assert (found.status, found.detail) == ("warned", "dbt selected no node, so nothing was run")


def test_dagster_lists_what_a_project_defines(root: Path, tools_lock: Lock, team: Path) -> None:
    project = write(team / "location", _DAGSTER)
    found = run_one(root, tools_lock, kind="dagster", project=str(project))
    assert found.status == "passed", found.detail
    assert found.detail == "loaded and valid: 1 code location, 1 asset, 1 job"
    assert found.table is not None
    assert ("job", "nightly", "valid", "") in found.table.rows


def test_a_location_reads_what_lies_beside_it(root: Path, tools_lock: Lock, team: Path) -> None:
    reading = (
        "\nfrom pathlib import Path\n(Path.cwd() / '../shop_dbt/dbt_project.yml').read_text()\n"
    )
    files = {f"location/{name}": text for name, text in _DAGSTER.items()}
    # What dagster-dbt asks before it makes a manifest.
    reading += "import os\nassert os.environ['DAGSTER_IS_DEV_CLI']\n"
    files["location/src/shop/definitions.py"] += reading
    project = write(team / "repository", {**files, "shop_dbt/dbt_project.yml": "name: shop\n"})
    found = run_one(root, tools_lock, kind="dagster", project=str(project), directory="location")
    assert (found.status, found.counts["assets"]) == ("passed", 1), found.detail
    found = run_one(root, tools_lock, kind="dagster", project=str(project / "location"))
    assert found.status == "failed"
    assert "It reads ../shop_dbt/dbt_project.yml, which lies outside" in found.detail
    found = run_one(root, tools_lock, kind="dagster", project=str(project), directory="no")
    assert found.status == "not_run"
    assert "is run in no, and" in found.detail


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        (
            "workspace.yaml",
            "load_from: [{grpc_server: {host: a, port: 1}}]\n",
            "names servers (grpc_server)",
        ),
        (
            "dg.toml",
            '[[workspace.projects]]\npath = "shop"\n',
            "a workspace of dg, with the projects shop",
        ),
        (
            "pyproject.toml",
            '[[tool.dg.workspace.projects]]\npath = "shop"\n',
            "a workspace of dg, with the projects shop",
        ),
    ],
)
def test_a_workspace_of_others_names_no_code(  # noqa: PLR0917  # fixtures, and what is tried
    root: Path, tools_lock: Lock, team: Path, name: str, text: str, problem: str
) -> None:
    project = write(team / "workspace", {name: text})
    found = run_one(root, tools_lock, kind="dagster", project=str(project))
    assert found.status == "failed"
    assert problem in found.detail
    assert "Write a check for each" in found.detail


@pytest.mark.slow
def test_dagster_shows_why_a_location_does_not_load(
    root: Path, tools_lock: Lock, team: Path
) -> None:
    broken = {"src/shop/definitions.py": "from shop import marts\n"}
    project = write(team / "location", {**_DAGSTER, **broken})
    found = run_one(
        root, tools_lock, kind="dagster", project=str(project), module="shop.definitions"
    )
    assert found.status == "failed"
    assert "code location shop.definitions:" in found.detail
    assert "cannot import name 'marts' from 'shop'" in found.detail


def test_pytest_shows_the_failures(root: Path, tools_lock: Lock, team: Path) -> None:
    tests = (
        "import sys, pytest\ndef test_good(): assert sys.prefix\n"
        "def test_bad(): assert 1 == 2, 'sums differ'\n@pytest.mark.skip\ndef test_later(): ...\n"
    )
    project = write(team / "tests", {"test_marts.py": tests})
    found = run_one(root, tools_lock, kind="pytest", project=str(project))
    assert found.status == "failed"
    assert "test_marts::test_bad: failed: AssertionError: sums differ" in found.detail
    assert "of all tests: 1 failed, 1 passed, 1 skipped" in found.detail
    assert found.counts == {"tests": 3, "faulty_tests": 1}
    assert found.table is not None
    assert [row[0] for row in found.table.rows] == ["failed", "skipped", "passed"]

    some = run_one(root, tools_lock, kind="pytest", project=str(project), run="-q -k good")
    assert (some.status, some.detail) == ("passed", "tests: 1 passed")
    none = run_one(root, tools_lock, kind="pytest", project=str(project), run="-k nothing")
    assert none.status == "failed"
    assert "pytest found no test to run" in none.detail


def test_what_is_not_in_the_lock_is_said(sample_lock: Lock, team: Path, tmp_path: Path) -> None:
    project = write(team / "tests", {"test_x.py": "def test_x(): ..."})
    found = run_one(tmp_path / "p", sample_lock, kind="pytest", project=str(project))
    assert found.status == "not_run"
    assert "The check 'own' works with pytest, and elt@3.11 has none" in found.detail
    log = log_of(tmp_path / "p", found)
    assert "Add pytest to the spec" in log


def test_a_command_is_shown_by_its_last_words(root: Path, tools_lock: Lock, team: Path) -> None:
    script = "#!/bin/sh\npwd\ncat data.txt\npython -c 'import sys; print(sys.prefix)'\nexit $1\n"
    project = write(team / "scripts", {"check.sh": script, "data.txt": "content\n"})
    (project / "check.sh").chmod(0o755)
    good = run_one(root, tools_lock, kind="command", project=str(project), run="./check.sh 0")
    assert good.status == "passed"
    assert good.detail.startswith(f"exit code 0: {root / '.elt_env' / 'prefixes'}")
    bad = run_one(root, tools_lock, kind="command", project=str(project), run="./check.sh 3")
    assert bad.status == "failed"
    assert bad.detail.startswith("It ended with exit code 3:\n")
    assert "\ncontent\n" in bad.detail


def test_a_command_that_hangs_is_ended_at_its_limit(root: Path, tools_lock: Lock) -> None:
    run = "sh -c 'echo begun; sleep 600'"
    found = run_one(root, tools_lock, kind="command", run=run, limit="1 second")
    assert found.status == "failed"
    assert "ended at its limit of 1 s" in found.detail
    assert "begun" in found.detail
    assert "raise `limit` in [tool.elt-env.environments.elt.checks.own]" in found.detail


def test_a_program_of_this_machine_is_not_taken(
    root: Path, tools_lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "bin" / "dbt2"
    write(program.parent, {"dbt2": "#!/bin/sh\necho taken\n"})
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    found = run_one(root, tools_lock, kind="command", run="dbt2")
    assert found.status == "failed"
    assert "elt@3.11 has no program 'dbt2'; this machine's is not taken" in found.detail
    inside = run_one(root, tools_lock, kind="command", run="sh -c 'dbt2 || echo $HOME'")
    assert "taken" not in inside.detail
    assert os.environ["HOME"] != inside.detail.removeprefix("exit code 0: ")


def test_values_that_are_handed_on_are_masked_everywhere(
    root: Path, tools_lock: Lock, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_PASSWORD", 's3cr3t-"value"\nsecond-line')
    monkeypatch.setenv("OTHER_PASSWORD", "not handed on")
    script = (
        "import os, json\nvalue = os.environ['SHOP_PASSWORD']\nprint(value)\n"
        "print(json.dumps(value), 'OTHER_PASSWORD' in os.environ)\n"
        "open('left', 'w').write(value)\nraise SystemExit(f'no {value!r}')\n"
    )
    project = write(team / "scripts", {"check.py": script})
    said = Said()
    check = {
        "kind": "command",
        "project": str(project),
        "run": "python check.py",
        "environment": ["SHOP_PASSWORD"],
    }
    toolbox = own_toolbox(root, tools_lock, {"own": check})
    (found,) = prove_all(tools_lock, toolbox, said, names=["own"], again=True)
    assert found.status == "failed"
    assert "False" in log_of(root, found)
    texts = ["\n".join(said)]
    texts += [
        path.read_text(errors="replace")
        for path in (root / ".elt_env").rglob("*")
        if path.is_file() and "prefixes" not in path.parts and path.stat().st_size < 1 << 20
    ]
    for part in ("s3cr3t", "second-line"):
        assert not [text for text in texts if part in text]


def test_a_missing_variable_is_named_and_the_check_is_not_run(root: Path, tools_lock: Lock) -> None:
    found = run_one(
        root, tools_lock, kind="command", run="python -V", environment=["NOT_SET", "HOME", "NOR_ME"]
    )
    assert found.status == "not_run"
    assert "The check 'own' wants the variables NOT_SET, NOR_ME, not set here" in found.detail


def test_what_a_check_writes_into_its_project_goes_into_a_copy(
    root: Path, tools_lock: Lock, team: Path
) -> None:
    project = write(team / "scripts", {"data.txt": "content\n", "deep/er.txt": "more\n"})
    (project / "data.txt").chmod(0o444)
    run = "sh -c 'echo new > data.txt && rm -r deep && touch new.txt'"
    found = run_one(root, tools_lock, kind="command", project=str(project), run=run)
    assert found.status == "passed", found.detail
    assert (project / "data.txt").read_text() == "content\n"
    assert (project / "deep/er.txt").exists()


@pytest.mark.parametrize("where", ["project", "prefix"])
def test_a_check_that_writes_where_it_may_not_fails(
    root: Path, tools_lock: Lock, team: Path, where: str
) -> None:
    project = write(team / "scripts", {"data.txt": "content\n"})
    prefix = own_toolbox(root, tools_lock, {}).store.prefix_path(tools_lock)
    file = (project if where == "project" else prefix / "lib") / "written.txt"
    run = f"sh -c 'echo new > {file}'"
    found = run_one(root, tools_lock, kind="command", project=str(project), run=run)
    file.unlink()
    assert found.status == "failed"
    assert f"files were changed that it may only read: {file}" in found.detail
    remedy = "elt-env verify elt@3.11 --repair" if where == "prefix" else "$TMPDIR"
    assert remedy in found.detail


def _promote(toolbox: Tools, lock: Lock) -> None:
    promote(lock.target, toolbox, silent, trigger="a test", by="a test")


def test_a_project_that_changed_after_the_evidence_keeps_the_release_back(
    tools_lock: Lock, team: Path, tmp_path: Path
) -> None:
    project = write(team / "scripts", {"data.txt": "content\n"})
    check = {"kind": "command", "project": str(project), "run": "sh -c 'cat data.txt'"}
    toolbox = own_toolbox(tmp_path / "p", tools_lock, {"own": check})
    pretend_proven(tools_lock, toolbox)
    with pytest.raises(ProofError, match="own was not run"):
        _promote(toolbox, tools_lock)
    prove_all(tools_lock, toolbox, silent, names=["own"])

    write(project, {"data.txt": "changed\n"})
    with pytest.raises(ProofError, match=f"own was run before project {project} changed") as caught:
        _promote(toolbox, tools_lock)
    assert "elt-env doctor elt@3.11 --check own" in caught.value.remedy
    said = Said()
    prove_all(tools_lock, toolbox, said, names=["own"])
    assert any(f"changed since then: project {project}" in line for line in said)

    edited = own_toolbox(
        tmp_path / "p", tools_lock, {"own": {**check, "run": "sh -c 'cat ./data.txt'"}}
    )
    with pytest.raises(ProofError, match="own was run before policy run changed"):
        _promote(edited, tools_lock)

    # How long it may take decides nothing, and one that does not block keeps nothing back.
    later = own_toolbox(tmp_path / "p", tools_lock, {"own": {**check, "limit": "2 minutes"}})
    _promote(later, tools_lock)
    write(project, {"data.txt": "changed again\n"})
    _promote(
        own_toolbox(tmp_path / "p", tools_lock, {"own": {**check, "blocking": False}}), tools_lock
    )


@pytest.mark.parametrize("status", ["failed", "passed"])
def test_plugins_that_do_not_hold_stay_locked_as_before(
    status: Status, sample_lock: Lock, tmp_path: Path
) -> None:
    def plugins(version: str) -> PluginLock:
        package = Package("pip", "tap-own", version, "https://files.invalid/tap.whl", "00" * 32)
        plugin = LockedPlugin("extractors", "tap-own", "tap-own", (package,))
        return PluginLock(sample_lock.target.python, sample_lock.target.platform, (plugin,))

    def check(_: CheckTools, say: Say) -> Finding:
        say("locking")
        write_plugin_lock(toolbox.store.documents, sample_lock.target, "ingest", plugins("2.0"))
        return Finding(status, "rows were counted")

    ingest = {"kind": "meltano", "project": str(tmp_path)}
    toolbox = own_toolbox(tmp_path / "root", sample_lock, {"ingest": ingest})
    documents, target = toolbox.store.documents, sample_lock.target
    write_plugin_lock(documents, target, "ingest", plugins("1.0"))
    forget_plugin_lock(documents, target, "ingest")

    prover = Prover({"ingest": check}, sample_lock, toolbox, silent, again=False)
    evidence = prover.attempt("ingest")

    locked = "1.0" if status == "failed" else "2.0"
    assert read_plugin_lock(documents, target, "ingest") == plugins(locked)
    assert evidence.inputs["plugins"] == plugins("2.0").digest
    assert ("tap-own 1.0 → 2.0" in evidence.detail) is (status == "failed")


def test_a_project_that_is_too_large_or_odd(root: Path, tools_lock: Lock, team: Path) -> None:
    project = write(team / "odd", {"data/large.bin": "x", "a.txt": "a"})
    os.mkfifo(project / "pipe")
    (project / "loop").symlink_to("loop")
    (project / "up").symlink_to("..")
    os.truncate(project / "data/large.bin", MOST_BYTES + 1)  # it takes no room
    keys = {"kind": "command", "project": str(project), "run": "ls -a"}
    found = run_one(root, tools_lock, **keys)
    assert found.status == "not_run"
    assert "is too large to be copied" in found.detail
    assert 'exclude = ["data"]' in log_of(root, found)
    keys["run"] = "sh -c 'test -f a.txt && ! test -e data && ! test -e pipe && ! test -e up'"
    assert run_one(root, tools_lock, **keys, exclude=["data"]).status == "passed"


def test_a_check_runs_in_the_image_as_well(
    root: Path, tools_lock: Lock, team: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if Bubblewrap.fault() and Namespaces.fault():
        pytest.skip("no sandbox works here")
    monkeypatch.setenv("SHOP_PASSWORD", "s3cr3t-value")
    script = (
        "import os, pathlib, sys\npathlib.Path('data.txt').write_text('written')\n"
        "print(sys.prefix, os.environ['SHOP_PASSWORD'], len(os.environ['SHOP_PASSWORD']))\n"
    )
    project = write(team / "scripts", {"check.py": script, "data.txt": "content\n"})
    check = {
        "kind": "command",
        "project": str(project),
        "run": "python check.py",
        "environment": ["SHOP_PASSWORD"],
        "in-image": True,
    }
    toolbox = own_toolbox(root, tools_lock, {"own": check})
    pack(tools_lock, toolbox.project, toolbox.store, silent)

    (found,) = image_prover(tools_lock, toolbox, silent).results(["own_in_image"])

    assert (found.status, found.detail) == ("passed", "exit code 0: /opt/elt *** 12")
    assert found.image is not None
    assert (project / "data.txt").read_text() == "content\n"
