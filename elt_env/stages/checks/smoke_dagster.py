"""Dagster of the built environment loads, validates and materializes a small project."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from elt_env.errors import ProofError
from elt_env.model.lock_rows import to_json_lines
from elt_env.stages.checks.finding import Finding
from elt_env.stages.checks.smoke import LIMIT, Bench, Needs, conduct, last_words
from elt_env.stages.checks.smoke_dbt import (
    PROJECT,
    check_counts,
    dbt_options,
    dbt_variables,
    error_of,
)
from elt_env.stages.checks.smoke_meltano import LOADED
from elt_env.tools import probes
from elt_env.tools.files import write_atomically
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say
from elt_env.tools.toolbox import Toolbox

NEEDS = Needs((PROJECT,), ("dagster", "dagster-dbt", "dagster-duckdb-pandas", "dbt-duckdb"))
_PROGRAM = Path(probes.__file__).parent / "dagster_project.py"
_INSTANCE = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"


def dagster_smoke(prefix: Prefix, toolbox: Toolbox, say: Say, *, limit: float = LIMIT) -> Finding:
    """dagster-dbt and the DuckDB IO manager build the project, and every package comes through."""
    return conduct(_check, NEEDS, prefix, toolbox, say, limit=limit)


def _check(bench: Bench) -> Finding:
    rows = bench.place.directory("rows")
    write_atomically(rows / LOADED, to_json_lines(bench.rows()))
    project = bench.project(PROJECT)
    variables = _variables(bench, project, rows)
    _parse(bench, project, variables)
    _dagster(bench, ["definitions", "validate", "-f", str(_PROGRAM)], variables)
    _dagster(bench, ["asset", "materialize", "-f", str(_PROGRAM), "--select", "*"], variables)
    through = _report(Path(variables["SMOKE_REPORT"]), len(bench.lock.packages))
    counts = check_counts(bench, Path(variables["ELT_DUCKDB_PATH"]))
    return Finding("passed", f"loaded, validated and materialized; {counts}; {through}")


def _variables(bench: Bench, project: Path, rows: Path) -> dict[str, str]:
    home = bench.place.directory("dagster")
    write_atomically(home / "dagster.yaml", _INSTANCE)
    return dbt_variables(bench, rows) | {
        "DAGSTER_HOME": str(home),
        "PYTHONWARNINGS": "ignore",
        "SMOKE_ROWS": str(rows / LOADED),
        "SMOKE_DBT": str(project),
        "SMOKE_DBT_TOOL": str(bench.prefix.path / "bin" / "dbt"),
        "SMOKE_DIGEST": bench.lock.digest,
        "SMOKE_REPORT": str(bench.place.path / "report.json"),
    }


def _parse(bench: Bench, project: Path, variables: Mapping[str, str]) -> None:
    """Write the manifest that dagster-dbt reads its assets from."""
    options = dbt_options(project, project / "target")
    done = bench.run("dbt", "parse", *options, variables=variables)
    if done.returncode:
        raise ProofError(
            f"dbt parse ended with exit code {done.returncode}:\n{error_of(done)}",
            "Correct what dbt names in dbt_project/.",
        )


def _dagster(bench: Bench, arguments: list[str], variables: Mapping[str, str]) -> None:
    done = bench.run("dagster", *arguments, variables=variables)
    if done.returncode:
        raise ProofError(
            f"dagster {' '.join(arguments[:2])} ended with exit code {done.returncode}:\n"
            f"{last_words(done)}",
            "Its full output is in the log.",
        )


def _report(path: Path, packages: int) -> str:
    try:
        counts = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ProofError(
            "dagster asset materialize ended well, but the last asset left no report.",
            "Its full output is in the log.",
        ) from error
    shown = ", ".join(f"{number} rows of {name}" for name, number in counts.items())
    if set(counts.values()) != {packages}:
        raise ProofError(
            f"The lock has {packages} packages, but Dagster's assets saw {shown}.",
            "Its full output is in the log.",
        )
    return f"through the IO manager: {shown}"
