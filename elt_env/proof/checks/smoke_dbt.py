"""Run dbt of the built environment with its adapters: on DuckDB it builds a project."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from elt_env import probes
from elt_env.environment.prefix import Prefix
from elt_env.errors import ProofError, ToolError
from elt_env.machine.environment_variables import prefix_environment
from elt_env.machine.process import Completed, Say, end_of, run
from elt_env.proof import dbt_results
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding, first
from elt_env.proof.checks.smoke import Bench, Needs, broken_off, conduct, last_words, tried_parts
from elt_env.proof.checks.smoke_meltano import LOADED, load_once
from elt_env.proof.dbt_results import NodeResult
from elt_env.proof.import_faults import ELSEWHERE
from elt_env.proof.rows import to_json_lines
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text
from elt_env.store.evidence import Status

PROJECT = "dbt_project"
SCHEMA = "elt"

NEEDS = Needs((PROJECT, "meltano"), ("dbt-core",))
_ADAPTERS = probes.DIRECTORY / "dbt_adapters.py"
_ADAPTER_PROJECT = probes.DIRECTORY / "adapter_project"
_ADAPTER = re.compile(r"dbt/adapters/(?P<type>\w+)/__init__\.py")
_RESULTS = "run_results.json"
_FILE = "smoke.duckdb"
_NAMED = 3
_WORST: tuple[Status, ...] = ("failed", "not_run", "warned", "passed")
_LOST = "Packages got lost on the way"
_CLOCK = re.compile(r"^\d\d:\d\d:\d\d +")
_SAID = re.compile(r"Encountered an error|Error", re.IGNORECASE)
_PROBE = probes.DIRECTORY / "query_duckdb.py"


def dbt_smoke(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Every adapter of the lock works with its dbt, as far as that goes without a connection.

    On DuckDB the smoke project builds over the rows of the lock, which Meltano loads where it is
    in the lock; its tests hold, and no package is lost. SQLite is run for real as well. Of any
    other adapter the connection classes and the client import, and a small project with a profile
    of its type is parsed and compiled.
    """
    return conduct(_check, NEEDS, prefix, tools, say)


def _check(bench: Bench) -> Finding:
    types = _adapter_types(bench.prefix)
    findings = []
    if "duckdb" in types:
        findings.append(_build_rows(bench))
    others = [each for each in types if each != "duckdb"]
    if others:
        findings.append(_try_adapters(bench, others))
    if not findings:
        done = bench.run("dbt", "--help", variables={})
        answers = "dbt answers" if not done.returncode else f"dbt --help:\n{last_words(done)}"
        status: Status = "failed" if done.returncode else "passed"
        findings.append(Finding(status, f"{answers}; there is no adapter to run it with"))
    return _together(findings)


def _build_rows(bench: Bench) -> Finding:
    if "meltano" not in bench.lock.distributions:
        rows = bench.place.directory("rows")
        write_atomically(rows / LOADED, to_json_lines(bench.rows()))
        return build(bench, rows)
    loaded = load_once(bench)
    finding = build(bench, loaded.directory)
    # It is there only when what was extracted was loaded.
    number = loaded.number
    counts = {"extracted_rows": number, "loaded_rows": number, **finding.counts}
    return replace(finding, counts=counts)


def _adapter_types(prefix: Prefix) -> tuple[str, ...]:
    """Return the types of the adapters that the installed distributions bring, sorted."""
    found = {
        match["type"]
        for each in prefix.distributions()
        if "dbt" in each.name
        for match in map(_ADAPTER.fullmatch, each.files)
        if match
    }
    there = prefix.site_packages / "dbt" / "include"
    return tuple(sorted(each for each in found if (there / each).is_dir()))


def _try_adapters(bench: Bench, types: Sequence[str]) -> Finding:
    project = bench.place.copy_of(_ADAPTER_PROJECT)
    variables = {
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "SMOKE_ELSEWHERE": " ".join(ELSEWHERE),
    }
    done = bench.run_probe(_ADAPTERS, project, *types, variables=variables)
    shown, faults, log = tried_parts(done)
    if len(shown) < len(types):
        faults.append(f"{types[len(shown)]}: {broken_off(done)}")
    if faults:
        return Finding("failed", "\n".join(faults), log)
    said = [
        f"{each['part']}: {each['note']}" + (f"; left out: {each['left']}" if each["left"] else "")
        for each in shown
    ]
    return Finding("passed", "; ".join(said), log, counts={"adapters": len(shown)})


def _together(findings: Sequence[Finding]) -> Finding:
    """Return several findings as one: the worst status, the table of the first that has one."""
    worst = min(findings, key=lambda each: _WORST.index(each.status))
    is_bad = worst.status in {"failed", "not_run"}
    details = [each.detail for each in findings if each.status == worst.status or not is_bad]
    return Finding(
        worst.status,
        ("\n" if is_bad else "; ").join(details),
        "\n".join(each.log for each in findings if each.log),
        counts={name: count for each in findings for name, count in each.counts.items()},
        table=next((each.table for each in findings if each.table), None),
    )


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
        return dbt_results.parse(read_stored_text(path))
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
        lines = [f"{each.name}: {each.status}: {each.message}" for each in faults]
        return Finding("failed", f"{first(lines, _NAMED)}\nof all nodes: {numbers}")
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


def query(
    prefix: Prefix, path: Path, queries: Mapping[str, str], limit: float, say: Say
) -> dict[str, Any]:
    """Return the first value of the first row of each query, by the query's name.

    Raises:
        ToolError: the file or what a query names is not there.
        TimeLimitError: it took longer than `limit` seconds.
    """
    done = run(
        [prefix.python, "-I", _PROBE, path],
        input=json.dumps(dict(queries)),
        limit=limit,
        env=prefix_environment(prefix.path),
        cwd=path.parent,
    )
    if done.returncode:
        cause = end_of(done.stderr.strip(), 1)
        raise ToolError(
            f"The DuckDB of {prefix.path} cannot read {path}: {cause}",
            "See in the log what was built into that file.",
        )
    say(f"duckdb: {done.stdout.strip()}")
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer
