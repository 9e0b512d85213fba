"""Popular stacks, each built by the installed command from a name, a Python and what pip is asked.

Run as a program it builds them one after another, each in a directory of its own, and prints a
table: whether the stack is released on the first try, or why it is refused. It ends with 1 where
that is not what `STACKS` says.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

PYTHON = "3.11"
_LIMIT = 3600.0
_COMMAND = Path(sys.executable).with_name("elt-env")


@dataclass(frozen=True)
class Stack:
    """What a person asks for.

    Attributes:
        name: that of the environment.
        pip: what pip is asked for.
        conda: what conda is asked for beside Python.
        refused: a part of the reason for which it cannot be had; "" where it can.
    """

    name: str
    pip: tuple[str, ...]
    conda: tuple[str, ...] = ()
    refused: str = ""

    @property
    def target(self) -> str:
        """Its target."""
        return f"{self.name}@{PYTHON}"

    @property
    def spec(self) -> str:
        """Its environment.yml."""
        dependencies: list[object] = [f"python={PYTHON}", "pip", *self.conda]
        if self.pip:
            dependencies.append({"pip": list(self.pip)})
        content = {"name": self.name, "channels": ["conda-forge"], "dependencies": dependencies}
        return yaml.safe_dump(content, sort_keys=False)


@dataclass(frozen=True)
class Outcome:
    """What became of a stack.

    Attributes:
        reason: why it was not released, or "".
        checks: the status of each check, by name.
        said: all that the command printed.
    """

    stack: Stack
    released: bool
    reason: str
    seconds: float
    checks: dict[str, str]
    said: str

    @property
    def expected(self) -> bool:
        """Whether it is what `STACKS` says."""
        if self.released or not self.stack.refused:
            return self.released and not self.stack.refused
        return self.stack.refused in self.reason


def _dbt(adapter: str) -> Stack:
    return Stack(f"dbt-{adapter}", ("dbt-core", f"dbt-{adapter}"))


def _dagster(*others: str) -> Stack:
    name = "-".join(("dagster", *others)) or "dagster"
    tools = ("dagster", "dagster-webserver", *(f"dagster-{each}" for each in others))
    return Stack(name, tools, refused=_REFUSED.get(name, ""))


# SQLAlchemy 2.1 takes psycopg 3 for `postgresql://`, and dagster-postgres 0.29 brings psycopg2:
# docs/stacks.md
_REFUSED = {"dagster-postgres": "No module named 'psycopg'"}
_ADAPTERS = (
    *("duckdb", "postgres", "snowflake", "bigquery", "redshift"),
    *("databricks", "trino", "clickhouse", "sqlite", "spark"),
    *("athena", "oracle", "sqlserver"),
)
_INTEGRATIONS = (
    *("aws", "gcp", "postgres", "k8s", "celery", "dask"),
    *("snowflake", "pandas", "polars", "slack"),
)
_MANY = tuple(
    f"dagster-{each}"
    for each in (
        *("airbyte", "fivetran", "duckdb-polars", "deltalake-polars", "msteams", "pandera"),
        *("ssh", "docker", "datadog", "prometheus", "tableau", "looker", "powerbi", "sigma"),
        "github",
    )
)
STACKS = {
    each.name: each
    for each in (
        *map(_dbt, _ADAPTERS),
        _dagster(),
        Stack("dagster-dbt", ("dagster", "dagster-webserver", "dagster-dbt", "dbt-duckdb")),
        *map(_dagster, _INTEGRATIONS),
        Stack("meltano", ("meltano",)),
        Stack("meltano-sqlalchemy", ("meltano", "sqlalchemy>=2")),
        Stack("dlt", ("dlt[duckdb]",)),
        Stack("dagster-dlt", ("dagster", "dagster-webserver", "dagster-dlt", "dlt[duckdb]")),
        Stack("sqlmesh", ("sqlmesh",)),
        Stack("sqlfluff", ("sqlfluff", "sqlfluff-templater-dbt", "dbt-duckdb")),
        Stack("ibis", ("ibis-framework[duckdb]", "streamlit")),
        Stack("jupyter", ("jupyterlab", "jupysql", "duckdb")),
        Stack("kedro", ("kedro", "kedro-datasets")),
        Stack("mlflow", ("mlflow",)),
        Stack("dask", ("dask[complete]", "distributed")),
        Stack("ray", ("ray[data]",)),
        Stack("cosmos", ("apache-airflow", "astronomer-cosmos", "dbt-postgres")),
        Stack("prefect-dbt", ("prefect-dbt",)),
        Stack("great-expectations", ("great-expectations",)),
        Stack("soda-core", ("soda-core",)),
        Stack(
            "airflow",
            (
                "apache-airflow",
                "apache-airflow-providers-postgres",
                "apache-airflow-providers-http",
            ),
        ),
        Stack("frames", (), conda=("pandas", "pyarrow", "polars")),
        Stack(
            "lakes",
            (
                *("pyiceberg[duckdb,pyarrow,sql-sqlite]", "deltalake", "daft", "lancedb"),
                *("polars[all]", "s3fs", "gcsfs", "adlfs"),
            ),
        ),
        Stack("datahub", ("acryl-datahub[dbt,snowflake,bigquery]",)),
        Stack("airbyte", ("airbyte",)),
        Stack("orchestrators", ("prefect", "luigi", "flytekit", "temporalio", "celery[redis]")),
        Stack("geo", ("geopandas", "rasterio", "shapely", "pyproj", "fiona")),
        Stack(
            "fastapi",
            (
                *("fastapi[standard]", "sqlmodel", "alembic", "gunicorn", "uvloop"),
                *("celery", "redis"),
            ),
        ),
        Stack("dagster-many", ("dagster", "dagster-webserver", "dagstermill", *_MANY)),
        Stack("ydata", ("ydata-profiling",), refused="ask for setuptools<82"),
    )
}
"""The stacks, by name."""


def build_stack(stack: Stack, root: Path, home: Path, *, keep: bool = False) -> Outcome:
    """Build one below `root` with the store at `home`; remove its prefix again, unless `keep`."""
    directory = root / stack.name
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "environment.yml").write_text(stack.spec, encoding="utf-8")
    start = time.monotonic()
    done = _elt_env(directory, home, "build", "environment.yml")
    seconds = time.monotonic() - start
    said = done.stdout + done.stderr
    (directory / "build.log").write_text(said, encoding="utf-8")
    shown = _elt_env(directory, home, "show", stack.target, "--json")
    content = json.loads(shown.stdout) if shown.returncode == 0 else {}
    for each in () if keep else (home / "prefixes").glob(f"{stack.target}-*"):
        shutil.rmtree(each)
    released = done.returncode == 0 and bool((content.get("release") or {}).get("current"))
    reason = "" if released else done.stderr[done.stderr.rfind("elt-env:") :].strip()
    checks = {each["check"]: each["status"] for each in content.get("evidence", ())}
    return Outcome(stack, released, reason, seconds, checks, said)


def _elt_env(directory: Path, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [_COMMAND, *arguments],
        cwd=directory,
        # One store for all: to it, the directories are one project.
        env=os.environ | {"ELT_ENV_HOME": str(home), "ELT_ENV_PROJECT_NAME": "stacks"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )


def _row(outcome: Outcome) -> str:
    others = [f"{name} {status}" for name, status in outcome.checks.items() if status != "passed"]
    what = "released" if outcome.released else "refused: " + " ".join(outcome.reason.split())
    mark = "" if outcome.expected else " (not expected)"
    cells = (outcome.stack.name, what + mark, f"{outcome.seconds:.0f} s", ", ".join(others))
    return "| " + " | ".join(cells) + " |"


def main() -> int:
    """Build the stacks that are named, or all; return 1 where one comes out unexpected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*STACKS, []], help="all, if none is named")
    parser.add_argument("--root", type=Path, help="where to build; kept, with the logs")
    parser.add_argument("--keep", action="store_true", help="leave the prefixes")
    options = parser.parse_args()
    root = options.root or Path(tempfile.mkdtemp(prefix="elt-env-stacks-"))
    root.mkdir(parents=True, exist_ok=True)
    sys.stdout.write(
        f"in {root}\n| stack | outcome | seconds | checks |\n| --- | --- | --- | --- |\n"
    )
    unexpected = 0
    for name in options.names or STACKS:
        outcome = build_stack(STACKS[name], root, root / "home", keep=options.keep)
        unexpected += not outcome.expected
        sys.stdout.write(_row(outcome) + "\n")
        sys.stdout.flush()
    sys.stdout.write(f"{unexpected} not as expected; the logs are in {root}\n")
    return 1 if unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
