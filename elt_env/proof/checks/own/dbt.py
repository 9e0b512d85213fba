"""A team's own dbt project, run by the dbt of the environment."""

from __future__ import annotations

from pathlib import Path

import yaml

from elt_env.errors import ProofError
from elt_env.machine.process import Completed, end_of
from elt_env.project.own_checks import DbtCheck
from elt_env.proof import dbt_results
from elt_env.proof.checks.finding import Finding, first
from elt_env.proof.checks.own.bench import OwnBench, last_words, table_of
from elt_env.proof.checks.smoke_dbt import error_of
from elt_env.proof.dbt_results import NodeResult
from elt_env.runtime.input_files import read_stored_text
from elt_env.store.evidence import Table

_RESULTS = "run_results.json"
_NAMED = 3
_SQL_LINES = 20
_QUIET = {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "DO_NOT_TRACK": "1"}


def run_dbt(bench: OwnBench) -> Finding:
    """Every node does what it should; for one that does not, its message and SQL are shown.

    Raises:
        ProofError: the packages of the project cannot be had.
        ToolError: the prefix has no dbt.
        TimeLimitError: it was still running at the limit.
    """
    check = bench.check
    if not isinstance(check, DbtCheck):
        raise TypeError(check)
    where: list[str | Path] = ["--project-dir", bench.project, *_profiles(bench)]
    log: list[str | Path] = ["--log-path", bench.place.path / "dbt-logs"]
    log += ["--no-use-colors", "--no-version-check"]
    _install_packages(bench, [*where, *log])
    target = bench.place.path / "dbt-target"
    state = bench.beside("state")
    options: list[str | Path] = [*where, *log, "--target-path", target]
    options += ["--target", check.target] if check.target else []
    options += ["--state", state] if state else []
    done = bench.run("dbt", *check.words, *options, variables=_QUIET)
    return _judge(bench, _results(target / _RESULTS), done)


def _profiles(bench: OwnBench) -> list[str | Path]:
    named = bench.beside("profiles")
    if named is None:
        named = bench.project if (bench.project / "profiles.yml").is_file() else None
    return ["--profiles-dir", named] if named else []


def _install_packages(bench: OwnBench, options: list[str | Path]) -> None:
    """Let dbt fetch the packages that the project names and does not hold."""
    if (bench.project / "dbt_packages").is_dir() or not _names_packages(bench.project):
        return
    done = bench.run("dbt", "deps", *options, variables=_QUIET)
    if done.returncode:
        raise ProofError(
            f"dbt deps ended with exit code {done.returncode}:\n{error_of(done)}",
            "If they cannot be had from here, run dbt deps in the project: dbt_packages/ is "
            "copied as well.",
        )


def _names_packages(project: Path) -> bool:
    for name in ("packages.yml", "dependencies.yml"):
        try:
            content = yaml.safe_load(read_stored_text(project / name))
        except (OSError, ValueError, yaml.YAMLError):
            continue  # dbt itself says what is wrong with it
        if isinstance(content, dict) and content.get("packages"):
            return True
    return False


def _results(path: Path) -> tuple[NodeResult, ...] | None:
    """Return what dbt wrote about nodes; None where it wrote nothing, as before the first one."""
    try:
        return dbt_results.parse(read_stored_text(path))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise ProofError(
            f"dbt wrote a {_RESULTS} that cannot be read: {error}", "See the log."
        ) from error


def _judge(bench: OwnBench, results: tuple[NodeResult, ...] | None, done: Completed) -> Finding:
    if results is None:
        return _without_nodes(bench, done)
    faults = [each for each in results if each.is_fault]
    numbers = dbt_results.count(results)
    counts = {"nodes": len(results), "faulty_nodes": len(faults)}
    table, log = _table(results), dbt_results.to_markdown(results)
    if faults:
        detail = f"{first([*map(_told, faults)], _NAMED)}\nof all nodes: {numbers}"
        whole = "\n\n".join(_told(each, most=None) for each in faults)
        return Finding("failed", detail, f"{log}\n\n{whole}", counts, table)
    if done.returncode:
        words = f"dbt ended with exit code {done.returncode} ({numbers or 'no node'}):"
        return Finding("failed", f"{words}\n{last_words(done)}", log, counts, table)
    if not results:
        return Finding("warned", "dbt selected no node, so nothing was run", log, counts)
    warned = [each for each in results if not each.is_good]
    if warned:
        names = ", ".join(f"{each.name} ({each.message})" for each in warned[:_NAMED])
        return Finding("warned", f"{names}; dbt nodes: {numbers}", log, counts, table)
    return Finding("passed", f"dbt nodes: {numbers}", log, counts, table)


def _without_nodes(bench: OwnBench, done: Completed) -> Finding:
    words = " ".join(bench.check.words)
    if not done.returncode:
        return Finding("passed", f"dbt {words}: exit code 0")
    hint = ""
    if "profile" in done.stdout.lower():
        table = table_of(bench.name, bench.lock)
        hint = f"\nName the directory of its profiles.yml: `profiles` in {table}"
    return Finding(
        "failed",
        f"dbt {words} ended with exit code {done.returncode} before it ran a node:\n"
        f"{error_of(done)}{hint}",
    )


def _told(node: NodeResult, most: int | None = _SQL_LINES) -> str:
    line = f"{node.name}: {node.status}: {node.message}"
    if not node.compiled:
        return line
    sql = node.compiled.strip()
    shown = sql if most is None else end_of(sql, 1, most)
    return f"{line}\n  compiled SQL:\n" + "\n".join(f"    {each}" for each in shown.splitlines())


def _table(results: tuple[NodeResult, ...]) -> Table:
    """Return the results as a table, with the SQL of what is to blame."""
    plain = dbt_results.to_table(results)
    compiled = {each.own_name: each.compiled for each in results if each.is_fault}
    place = plain.columns.index("node")
    rows = tuple((*row, compiled.get(str(row[place]), "").strip()) for row in plain.rows)
    return Table.cut(plain.name, (*plain.columns, "compiled_sql"), rows)
