"""Looks into a DuckDB file with the interpreter and the DuckDB of a prefix."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from elt_env import probes
from elt_env.environment.prefix import Prefix
from elt_env.errors import ToolError
from elt_env.machine.environment_variables import prefix_environment
from elt_env.machine.process import Say, end_of, run

_PROBE = probes.DIRECTORY / "query_duckdb.py"


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
