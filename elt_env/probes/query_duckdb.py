"""Answers the queries of a JSON object on stdin from the DuckDB file given as the argument.

Writes one JSON object to stdout: the first value of the first row of each query, by its name.
"""

import importlib
import json
import sys


def main() -> None:
    """Answer every query."""
    duckdb = importlib.import_module("duckdb")  # the prefix has it, this project has not
    connection = duckdb.connect(sys.argv[1], read_only=True)
    queries = json.load(sys.stdin)
    answers = {name: connection.execute(query).fetchone()[0] for name, query in queries.items()}
    sys.stdout.write(json.dumps(answers) + "\n")


if __name__ == "__main__":
    main()
