"""The check that the tools of an image run in it."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from elt_env import probes
from elt_env.errors import ProofError
from elt_env.image.sandbox import Bind, Sandbox, Task, find_sandbox, run_in
from elt_env.image.source import PLACE
from elt_env.image.store import ImageStore
from elt_env.machine.process import Completed, Say
from elt_env.proof.checks import smoke_dbt
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding
from elt_env.proof.checks.image_subject import WORK, ImageUnderTest, hand_over, seen_in_image
from elt_env.proof.checks.smoke import Bench, Needs, conduct, last_words
from elt_env.proof.checks.smoke_meltano import LOADED
from elt_env.proof.rows import to_json_lines
from elt_env.proof.smoke_projects import smoke_project
from elt_env.runtime.files import write_atomically, writing

_ROWS = "rows"
_PYTHON = "import sqlite3, ssl, sys; sys.exit(not sys.prefix.startswith('{place}'))"
_PROGRAM = probes.DIRECTORY / "dagster_project.py"
_INSTANCE = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
_DBT = ("dbt-core", "dbt-duckdb")
_DAGSTER = ("dagster", "dagster-dbt", "dagster-duckdb-pandas", *_DBT)


def image_runs(image: ImageUnderTest, tools: CheckTools, say: Say) -> Finding:
    """Its Python, dbt, Meltano and Dagster work as the image's user, offline, on a read-only root.

    dbt builds the smoke project, the image's own where it has one, over the rows of the lock, and
    loses none; Dagster validates a small project of it and of dbt. What the lock does not have is
    not run, and said. Without a sandbox that works here it is `not_run`.
    """

    def body(bench: Bench) -> Finding:
        roots = ImageStore(tools.store).roots
        search = find_sandbox(image.layout, image.manifest, roots, say)
        if search.sandbox is None:
            return Finding("not_run", f"No sandbox works here:\n{search.reasons}")
        return _check(_inside(bench, search.sandbox))

    return conduct(body, Needs((), ()), image.prefix, tools, say)


@dataclass(frozen=True)
class _Inside(Bench):
    """A bench whose tools are the image's, run in it; its directory is seen at /work."""

    sandbox: Sandbox

    def project(self, name: str) -> Path:
        """Return where the smoke project of that name is: the image's own, or a copy at /work."""
        root = self.tools.project.root
        found = smoke_project(root, name)
        return Path(PLACE) / name if found == root / name else self.place.copy_of(found)

    def run(self, tool: str, *arguments: str | Path, variables: Mapping[str, str]) -> Completed:
        """Run the tool that comes first on the image's PATH."""
        hand_over(self.place.path, self.sandbox.owner)
        seen = seen_in_image(self.prefix, self.tools.project.policy, self.place)
        task = Task(
            command=(tool, *(seen(str(each)) for each in arguments)),
            variables={name: seen(value) for name, value in variables.items()},
            directory=WORK,
            binds=(Bind(self.place.path, WORK),),
        )
        return run_in(
            self.sandbox,
            task,
            limit=self.limit,
            say=lambda line: self.say(f"image: {tool}: {line}", logging.DEBUG),
        )


def _inside(bench: Bench, sandbox: Sandbox) -> _Inside:
    return _Inside(
        bench.prefix, bench.tools, bench.place, bench.say, bench.note, bench.limit, sandbox
    )


def _check(bench: _Inside) -> Finding:
    place = bench.tools.project.policy.image_path
    _require(bench, "python", "-c", _PYTHON.format(place=place))
    said = [f"with {bench.sandbox.name}: python"]
    missing = []
    built = None
    if _has(bench, *_DBT):
        built = _build(bench)
        if built.status == "failed":
            return built
        said.append(f"dbt build ({built.detail})")
    else:
        missing.append("dbt")
    if _has(bench, "meltano"):
        said.append(_require(bench, "meltano", "--version").stdout.strip())
    else:
        missing.append("meltano")
    if built and _has(bench, *_DAGSTER):
        _validate(bench)
        said.append("dagster definitions validate")
    else:
        missing.append("dagster")
    without = f"; not there: {', '.join(missing)}" if missing else ""
    return replace(built or Finding("passed", ""), detail=", ".join(said) + without)


def _has(bench: _Inside, *distributions: str) -> bool:
    return all(each in bench.lock.distributions for each in distributions)


def _build(bench: _Inside) -> Finding:
    rows = bench.place.directory(_ROWS)
    write_atomically(rows / LOADED, to_json_lines(bench.rows()))
    # A relative path is the same inside, and outside where the rows are counted.
    return smoke_dbt.build(bench, Path(_ROWS))


def _validate(bench: _Inside) -> None:
    """Let Dagster validate the small project, over the manifest that `dbt build` left."""
    place = bench.place
    project = place.path / smoke_dbt.PROJECT
    if not project.is_dir():
        place.copy_of(smoke_project(bench.tools.project.root, smoke_dbt.PROJECT))
    home = place.directory("dagster")
    with writing(place.path):
        shutil.copy(_PROGRAM, place.path / _PROGRAM.name)
        (project / "target").mkdir(exist_ok=True)
        shutil.copy(place.path / "dbt-target" / "manifest.json", project / "target")
    write_atomically(home / "dagster.yaml", _INSTANCE)
    rows = place.path / _ROWS
    variables = smoke_dbt.dbt_variables(bench, rows) | {
        "DAGSTER_HOME": str(home),
        "PYTHONWARNINGS": "ignore",
        "SMOKE_PARTS": "pandas dbt",
        "SMOKE_ROWS": str(rows / LOADED),
        "SMOKE_DBT": str(project),
        "SMOKE_DBT_TOOL": str(bench.prefix.path / "bin" / "dbt"),
        "SMOKE_DIGEST": bench.lock.digest,
        "SMOKE_REPORT": str(place.path / "report.json"),
    }
    program = place.path / _PROGRAM.name
    _require(bench, "dagster", "definitions", "validate", "-f", program, variables=variables)


def _require(
    bench: _Inside, tool: str, *arguments: str | Path, variables: Mapping[str, str] | None = None
) -> Completed:
    done = bench.run(tool, *arguments, variables=variables or {})
    if done.returncode:
        words = " ".join([tool, *map(str, arguments)])[:80]
        raise ProofError(
            f"In the image, {words} ended with exit code {done.returncode}:\n{last_words(done)}",
            "Its full output is in the log; try it: elt-env run-image TARGET -- …",
        )
    return done
