"""A team's own tests, run by the pytest of the environment."""

from __future__ import annotations

from elt_env.proof import junit
from elt_env.proof.checks.finding import Finding, first
from elt_env.proof.checks.own.bench import OwnBench, last_words
from elt_env.proof.junit import TestResult
from elt_env.runtime.input_files import read_stored_text

_NOTHING = 5  # https://docs.pytest.org/en/stable/reference/exit-codes.html
_NAMED = 3


def run_pytest(bench: OwnBench) -> Finding:
    """Every test passes, and there is one.

    Raises:
        ToolError: the prefix cannot run pytest.
        TimeLimitError: it was still running at the limit.
    """
    report = bench.place.path / "junit.xml"
    done = bench.run(
        *("python", "-m", "pytest", *bench.check.words),
        *(f"--junit-xml={report}", "-p", "no:cacheprovider", "--color=no"),
        f"--basetemp={bench.place.path / 'tmp' / 'pytest'}",
    )
    try:
        results = junit.parse(read_stored_text(report))
    except (FileNotFoundError, ValueError):
        results = ()
    judged = _judge(results, done.returncode, last_words(done))
    counts = {"tests": len(results), "faulty_tests": sum(each.is_fault for each in results)}
    table = junit.to_table(results) if results else None
    return Finding(judged.status, judged.detail, judged.log, counts, table)


def _judge(results: tuple[TestResult, ...], code: int, words: str) -> Finding:
    faults = [each for each in results if each.is_fault]
    numbers = junit.count(results)
    log = "\n\n".join(f"{each.name}\n{each.text}" for each in faults)
    if faults:
        lines = [f"{each.name}: {each.outcome}: {each.message}" for each in faults]
        return Finding("failed", f"{first(lines, _NAMED)}\nof all tests: {numbers}", log)
    if code == _NOTHING or (not code and not results):
        return Finding("failed", f"pytest found no test to run:\n{words}")
    if code:
        return Finding("failed", f"pytest ended with exit code {code}:\n{words}")
    return Finding("passed", f"tests: {numbers}")
