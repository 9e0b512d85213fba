"""Dagster of the built environment is put to work, part by part."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from elt_env import probes
from elt_env.environment.prefix import Prefix
from elt_env.errors import ProofError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Completed, Say
from elt_env.machine.scratch import scratch_directory
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding
from elt_env.proof.checks.smoke import Bench, Needs, broken_off, conduct, tried_parts
from elt_env.proof.checks.smoke_dbt import PROJECT, check_counts, dbt_variables
from elt_env.proof.checks.smoke_meltano import LOADED
from elt_env.proof.rows import to_json_lines
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text

NEEDS = Needs((PROJECT,), ("dagster",))
INSTANCE = """\
telemetry:
  enabled: false
nux:
  enabled: false
"""
_SOON = """\
run_queue:
  dequeue_interval_seconds: 1
run_monitoring:
  enabled: false
"""
_PARTS = probes.DIRECTORY / "dagster_parts.py"
_CODE = probes.DIRECTORY / "dagster_code.py"
_PROJECT_CODE = probes.DIRECTORY / "dagster_project.py"
_DBT = ("dagster-dbt", "dbt-core", "dbt-duckdb")
_PANDAS = "dagster-duckdb-pandas"
_STORAGES = {"dagster-postgres": "PostgreSQL", "dagster-mysql": "MySQL"}
_WAIT = 300.0  # seconds for a server to answer, or for a run to end
# Where Debian has what it leaves off PATH.
_POSTGRES = Path("/usr/lib/postgresql")
_POSTGRES_PROGRAMS = ("initdb", "postgres")


def dagster_smoke(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Dagster's parts work, each with what the lock has of its family.

    Its libraries belong together; definitions load and validate; a code server answers a client;
    assets materialize in one process and in several; the daemon ticks a schedule, launches its run
    and ends; the webserver answers GraphQL. dagster-dbt and dagster-duckdb-pandas build the smoke
    project, and every package comes through. The storages of dagster-postgres and dagster-mysql
    are made up to the connection; where this machine has a PostgreSQL, a run is told to it.
    """
    return conduct(_check, NEEDS, prefix, tools, say)


def _check(bench: Bench) -> Finding:
    parts = _parts_of_project(bench.lock)
    variables = _variables(bench, parts)
    done = _run_parts(bench, variables)
    shown, faults, log = tried_parts(done)
    if done.returncode or not shown:
        faults.append(broken_off(done))
    if faults:
        return Finding("failed", "\n".join(faults), log)
    said = [each["part"] + (f" ({each['note']})" if each["note"] else "") for each in shown]
    if "pandas" in parts:
        said.append(_report(Path(variables["SMOKE_REPORT"]), len(bench.lock.packages)))
    if "dbt" in parts:
        said.append(check_counts(bench, Path(variables["ELT_DUCKDB_PATH"])))
    left = _left_out(bench.lock, variables)
    said += [f"left out: {', '.join(left)}"] if left else []
    return Finding("passed", "; ".join(said), log, counts={"parts": len(shown)})


def _parts_of_project(lock: Lock) -> tuple[str, ...]:
    """Return which parts of the project with data the lock has the libraries for."""
    has = lock.distributions
    pandas = ("pandas",) if _PANDAS in has else ()
    return (*pandas, "dbt") if all(each in has for each in _DBT) else pandas


def _left_out(lock: Lock, variables: Mapping[str, str]) -> list[str]:
    """Return what the lock has and nothing has run, each with why."""
    has = lock.distributions
    left = []
    if "dagster-dbt" in has and not all(each in has for each in _DBT):
        left.append("dagster-dbt's run of dbt, which wants dbt-duckdb")
    if "dagster-postgres" in has and not variables["SMOKE_POSTGRES"]:
        left.append("a run on PostgreSQL, which this machine does not have")
    if "dagster-mysql" in has:
        left.append("a run on MySQL")
    return left


def _variables(bench: Bench, parts: Sequence[str]) -> dict[str, str]:
    home = bench.place.directory("dagster")
    write_atomically(home / "dagster.yaml", INSTANCE + _SOON)
    rows = bench.place.directory("rows")
    write_atomically(rows / LOADED, to_json_lines(bench.rows()))
    has = bench.lock.distributions
    programs = postgres_programs(os.environ.get("PATH", os.defpath))
    return dbt_variables(bench, rows) | {
        "DAGSTER_HOME": str(home),
        "PYTHONWARNINGS": "ignore",
        "SMOKE_CODE": str(_CODE),
        "SMOKE_EXTRA": str(_PROJECT_CODE) if parts else "",
        "SMOKE_FAMILY": " ".join(_family(bench.prefix)),
        "SMOKE_STORAGE": " ".join(_module(each) for each in _STORAGES if each in has),
        "SMOKE_POSTGRES": str(programs or ""),
        "SMOKE_LIMIT": str(min(_WAIT, bench.limit)),
        "SMOKE_PARTS": " ".join(parts),
        "SMOKE_ROWS": str(rows / LOADED),
        "SMOKE_DBT": str(bench.project(PROJECT)) if "dbt" in parts else "",
        "SMOKE_DBT_TOOL": str(bench.prefix.path / "bin" / "dbt"),
        "SMOKE_DIGEST": bench.lock.digest,
        "SMOKE_REPORT": str(bench.place.path / "report.json"),
    }


def _family(prefix: Prefix) -> list[str]:
    """Return the modules of Dagster's libraries that are there, Dagster itself first."""
    names = {each for each in prefix.lock.distributions if each.startswith("dagster-")}
    modules = [_module(each) for each in sorted(names)]
    there = [each for each in modules if (prefix.site_packages / each / "__init__.py").is_file()]
    return ["dagster", *there]


def _module(distribution: str) -> str:
    return distribution.replace("-", "_")


def postgres_programs(path: str) -> Path | None:
    """Return the directory of PostgreSQL's server: on `path`, else in Debian's place; the newest.

    None where there is none.
    """
    found = [shutil.which(each, path=path) for each in _POSTGRES_PROGRAMS]
    if all(found):
        return Path(str(found[0])).parent
    versions = (each.parent.parent for each in _POSTGRES.glob("*/bin/postgres"))
    numbered = [each for each in versions if each.name.isdigit()]
    return max(numbered, key=lambda each: int(each.name)) / "bin" if numbered else None


def _run_parts(bench: Bench, variables: Mapping[str, str]) -> Completed:
    with scratch_directory("dagster") as place:
        place.chmod(0o711)  # PostgreSQL, which does not run as root, has a directory in it
        done = bench.run_probe(_PARTS, variables={**variables, "TMPDIR": str(place)})
    for line in done.stdout.splitlines():
        bench.say(f"dagster: {line}")
    return done


def _report(path: Path, packages: int) -> str:
    try:
        counts = json.loads(read_stored_text(path))
    except FileNotFoundError as error:
        raise ProofError(
            "Dagster materialized all assets, but the last asset left no report.",
            "Its full output is in the log.",
        ) from error
    shown = ", ".join(f"{number} rows of {name}" for name, number in counts.items())
    if set(counts.values()) != {packages}:
        raise ProofError(
            f"The lock has {packages} packages, but Dagster's assets saw {shown}.",
            "Its full output is in the log.",
        )
    return f"through the IO manager: {shown}"
