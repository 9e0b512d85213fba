"""dbt of the built environment builds the project over its own lock, on DuckDB."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from elt_env.errors import ProofError
from elt_env.model import dbt_results
from elt_env.model.dbt_results import NodeResult
from elt_env.stages.checks.finding import Finding
from elt_env.stages.checks.smoke import LIMIT, Bench, Needs, conduct, last_words
from elt_env.stages.checks.smoke_meltano import load
from elt_env.tools.duckdb_file import query
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Completed, Say
from elt_env.tools.toolbox import Toolbox

PROJECT = "dbt_project"
SCHEMA = "elt"

NEEDS = Needs((PROJECT, "meltano"), ("dbt-core", "dbt-duckdb", "meltano"))
_RESULTS = "run_results.json"
_FILE = "smoke.duckdb"
_NAMED = 3
_LOST = "Packages got lost on the way"
_CLOCK = re.compile(r"^\d\d:\d\d:\d\d +")
_SAID = re.compile(r"Encountered an error|Error", re.IGNORECASE)


def dbt_smoke(prefix: Prefix, toolbox: Toolbox, say: Say, *, limit: float = LIMIT) -> Finding:
    """The project builds and its tests hold, and no package is lost from the lock to the mart."""
    return conduct(_check, NEEDS, prefix, toolbox, say, limit=limit)


def _check(bench: Bench) -> Finding:
    loaded = load(bench)
    finding = build(bench, loaded.directory)
    # load() returns only when what was extracted was loaded.
    rows = loaded.rows.total()
    return replace(finding, counts={"extracted_rows": rows, "loaded_rows": rows, **finding.counts})


def build(bench: Bench, loaded: Path) -> Finding:
    """Return what `dbt build` makes of the loaded rows in that directory.

    Raises:
        ProofError: dbt ended before it ran a node.
        ToolError: the prefix has no dbt, or its DuckDB cannot read what dbt built.
        TimeLimitError: it took longer than the bench's limit.
    """
    project = bench.project(PROJECT)
    target = bench.place.directory("dbt-target")
    variables = dbt_variables(bench, loaded)
    done = bench.run("dbt", "build", *dbt_options(project, target), variables=variables)
    results = _results(target / _RESULTS, done)
    finding = replace(
        _judge(results, done),
        log=dbt_results.to_markdown(results),
        counts={"nodes": len(results), "faulty_nodes": sum(each.is_fault for each in results)},
        table=dbt_results.to_table(results),
    )
    if finding.status == "failed":
        return finding
    packages = count_packages(bench, Path(variables["ELT_DUCKDB_PATH"]))
    finding = replace(
        finding, counts={**finding.counts, **{f"{k}_packages": n for k, n in packages.items()}}
    )
    if _lost(packages):
        return replace(finding, status="failed", detail=f"{_LOST}: {_shown(packages)}.")
    return replace(finding, detail=f"{finding.detail}; packages: {_shown(packages)}")


def dbt_variables(bench: Bench, loaded: Path) -> dict[str, str]:
    """Return the variables that the dbt project reads; ages are counted to the lock's own day."""
    return {
        "ELT_LOADED_ROWS": str(loaded),
        "ELT_DUCKDB_PATH": str(bench.place.path / _FILE),
        "ELT_DUCKDB_SCHEMA": SCHEMA,
        "ELT_AS_OF": f"{bench.lock.locked_at:%Y-%m-%d}",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


def dbt_options(project: Path, target: Path) -> list[str | Path]:
    """Return the options of every dbt command: one project, its own profile, files apart."""
    return [
        *("--project-dir", project, "--profiles-dir", project),
        *("--target-path", target, "--log-path", target / "logs"),
        *("--no-use-colors", "--no-version-check"),
    ]


def check_counts(bench: Bench, path: Path) -> str:
    """Return in words how many packages are in the lock, in the source and in the mart.

    Raises:
        ProofError: the three differ.
        ToolError: the prefix's DuckDB cannot read the file.
    """
    packages = count_packages(bench, path)
    if _lost(packages):
        raise ProofError(f"{_LOST}: {_shown(packages)}.", "See the log of dbt's nodes.")
    return f"packages: {_shown(packages)}"


def count_packages(bench: Bench, path: Path) -> dict[str, int]:
    """Return how many packages are in the `lock`, in the `source` and in the `mart`.

    Raises:
        ToolError: the prefix's DuckDB cannot read the file.
    """
    where = f"where lock_digest = '{bench.lock.digest}'"
    return {"lock": len(bench.lock.packages)} | query(
        bench.prefix,
        path,
        {
            "source": f"select count(*) from {SCHEMA}.stg_packages {where}",  # noqa: S608
            "mart": f"select count(*) from {SCHEMA}.package_freshness {where}",  # noqa: S608
        },
        bench.limit,
        bench.say,
    )


def _lost(packages: Mapping[str, int]) -> bool:
    return len(set(packages.values())) > 1


def _shown(packages: Mapping[str, int]) -> str:
    return ", ".join(f"{number} in the {name}" for name, number in packages.items())


def _results(path: Path, done: Completed) -> tuple[NodeResult, ...]:
    try:
        return dbt_results.parse(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProofError(
            f"dbt build ended with exit code {done.returncode} before it ran a node:\n"
            f"{error_of(done)}",
            "Correct what dbt names in dbt_project/.",
        ) from error
    except ValueError as error:
        raise ProofError(
            f"dbt wrote a {_RESULTS} that cannot be read: {error}", "See the log."
        ) from error


def error_of(done: Completed) -> str:
    """Return what dbt printed from its first error on, without the clock."""
    lines = [_CLOCK.sub("", each) for each in done.stdout.splitlines()]
    start = next((number for number, each in enumerate(lines) if _SAID.search(each)), None)
    return last_words(done) if start is None else "\n".join(lines[start:]).strip()


def _judge(results: tuple[NodeResult, ...], done: Completed) -> Finding:
    faults = [each for each in results if each.is_fault]
    numbers = dbt_results.count(results)
    if faults:
        lines = [f"{each.name}: {each.status}: {each.message}" for each in faults[:_NAMED]]
        more = f"\nand {len(faults) - _NAMED} more" if len(faults) > _NAMED else ""
        return Finding("failed", "\n".join(lines) + more + f"\nof all nodes: {numbers}")
    if done.returncode or not results:
        return Finding(
            "failed",
            f"dbt build ended with exit code {done.returncode} and {len(results)} nodes "
            f"({numbers}):\n{last_words(done)}",
        )
    warned = [each for each in results if not each.is_good]
    if warned:
        names = ", ".join(f"{each.name} ({each.message})" for each in warned[:_NAMED])
        return Finding("warned", f"{names}; dbt nodes: {numbers}")
    return Finding("passed", f"dbt nodes: {numbers}")
