"""The check that the tools of an image run in it."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
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
from elt_env.runtime.cancelling import go_on, side_by_side
from elt_env.runtime.files import write_atomically, writing

_ROWS = "rows"
_PYTHON = "import sqlite3, ssl, sys; sys.exit(not sys.prefix.startswith('{place}'))"
_PROGRAM = probes.DIRECTORY / "dagster_project.py"
_INSTANCE = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
_TOOLS = ("dbt", "meltano", "dagster")
_GLANCE = 0.1  # seconds
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
    """Return what comes of the tools, which run beside each other; the first to fail ends it."""
    _require(bench, "python", "-c", _PYTHON.format(place=bench.tools.project.policy.image_path))
    builds = _has(bench, *_DBT)
    parsed = _Manifest(bench.place.path / "dbt-target" / "manifest.json")
    tries: dict[str, Callable[[], object]] = {}
    if builds:
        tries["dbt"] = lambda: parsed.ended_by(partial(_build, bench))
    if _has(bench, "meltano"):
        tries["meltano"] = partial(_require, bench, "meltano", "--version")
    if builds and _has(bench, *_DAGSTER):
        tries["dagster"] = lambda: _validate(bench, parsed.content())
    said = dict(zip(tries, side_by_side(lambda each: each(), tries.values(), 3), strict=True))
    return _told(bench, said)


def _told(bench: _Inside, said: Mapping[str, object]) -> Finding:
    built = said.get("dbt")
    if not isinstance(built, Finding):
        built = Finding("passed", "")
    elif built.status == "failed":
        return built
    if said.get("dagster") is False:
        raise ProofError(
            "In the image, dbt build passed and left no manifest.json for Dagster to validate.",
            "Its full output is in the log; try it: elt-env run-image TARGET -- dbt build",
        )
    lines = [f"with {bench.sandbox.name}: python"]
    lines += [f"dbt build ({built.detail})"] if "dbt" in said else []
    version = said.get("meltano")
    lines += [version.stdout.strip()] if isinstance(version, Completed) else []
    lines += ["dagster definitions validate"] if "dagster" in said else []
    missing = ", ".join(each for each in _TOOLS if each not in said)
    return replace(built, detail=", ".join(lines) + (f"; not there: {missing}" if missing else ""))


class _Manifest:
    """The manifest that dbt writes when it has parsed, before it builds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._ended = threading.Event()

    def ended_by(self, build: Callable[[], Finding]) -> Finding:
        """Run the build after which there is nothing to wait for."""
        try:
            return build()
        finally:
            self._ended.set()

    def content(self) -> bytes:
        """Return it once it is whole; b"" where the build has ended without it."""
        while not self._ended.wait(_GLANCE):
            go_on()
            if content := self._whole():
                return content
        return self._whole()

    def _whole(self) -> bytes:
        with contextlib.suppress(OSError, ValueError):
            content = self._path.read_bytes()
            json.loads(content)
            return content
        return b""


def _has(bench: _Inside, *distributions: str) -> bool:
    return all(each in bench.lock.distributions for each in distributions)


def _build(bench: _Inside) -> Finding:
    rows = bench.place.directory(_ROWS)
    write_atomically(rows / LOADED, to_json_lines(bench.rows()))
    # A relative path is the same inside, and outside where the rows are counted.
    return smoke_dbt.build(bench, Path(_ROWS))


def _validate(bench: _Inside, manifest: bytes) -> bool:
    """Let Dagster validate the small project; tell whether there was a manifest of dbt's for it."""
    if not manifest:
        return False
    place = bench.place
    project = place.path / smoke_dbt.PROJECT
    if not project.is_dir():
        place.copy_of(smoke_project(bench.tools.project.root, smoke_dbt.PROJECT))
    home = place.directory("dagster")
    with writing(place.path):
        shutil.copy(_PROGRAM, place.path / _PROGRAM.name)
    write_atomically(project / "target" / "manifest.json", manifest)
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
    return True


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
