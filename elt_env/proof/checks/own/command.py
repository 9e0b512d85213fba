"""A command of a team's own, which has to end with exit code 0."""

from __future__ import annotations

from elt_env.proof.checks.finding import Finding
from elt_env.proof.checks.own.bench import OwnBench, last_words


def run_command(bench: OwnBench) -> Finding:
    """The command ends with exit code 0; its last words are shown.

    Raises:
        ToolError: there is no such program.
        TimeLimitError: it was still running at the limit.
    """
    done = bench.run(*bench.check.words)
    words = last_words(done)
    if done.returncode:
        said = words or "It printed nothing."
        return Finding("failed", f"It ended with exit code {done.returncode}:\n{said}")
    last = words.splitlines()[-1] if words else "it printed nothing"
    return Finding("passed", f"exit code 0: {last}")
