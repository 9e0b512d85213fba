"""A team's own Dagster project, loaded by the Dagster of the environment."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from elt_env import probes
from elt_env.errors import ProofError
from elt_env.machine.process import Completed
from elt_env.project.own_checks import DagsterCheck
from elt_env.proof.checks.finding import Finding
from elt_env.proof.checks.own.bench import OwnBench, last_words, table_of
from elt_env.runtime.files import write_atomically, writing
from elt_env.runtime.input_files import read_stored_text
from elt_env.store.evidence import Table

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

_INSTANCE = "telemetry:\n  enabled: false\nnux:\n  enabled: false\n"
_VALIDATE = ("definitions", "validate")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_FAILED = re.compile(r"Validation failed for code location (?P<name>.+?):$")
_VALID = re.compile(r"Validation successful for code location (?P<name>.+?)\.$")
_NEXT = re.compile(r"^\S+ \S+ \S+ - dagster - ")  # how Dagster begins a line of its log
_PROGRAM = probes.DIRECTORY / "dagster_definitions.py"


def validate_dagster(bench: OwnBench) -> Finding:
    """Every code location loads, and its definitions are valid; they are listed.

    Raises:
        ToolError: the prefix has no Dagster.
        ProofError: the project names no code location that can be loaded.
        TimeLimitError: it was still running at the limit.
    """
    check = bench.check
    if not isinstance(check, DagsterCheck):
        raise TypeError(check)
    if not check.module and not check.file:
        _require_locations(bench.project, table_of(bench.name, bench.lock))
    home = bench.place.directory("dagster")
    write_atomically(home / "dagster.yaml", _INSTANCE)
    location = _location(check, bench.project)
    done = _run(bench, "dagster", *check.words, *location)
    words = " ".join(check.words)
    if check.words[:2] == _VALIDATE:
        return _judge(bench, done, location)
    if done.returncode:
        detail = f"dagster {words} ended with exit code {done.returncode}:\n{last_words(done)}"
        return Finding("failed", detail)
    return Finding("passed", f"dagster {words}: exit code 0")


def _location(check: DagsterCheck, project: Path) -> list[str]:
    """Return what tells Dagster where the definitions are; nothing where the project does."""
    if check.module:
        return ["-m", check.module]
    if check.file:
        return ["-f", check.file]
    try:
        tools = tomllib.loads(read_stored_text(project / "pyproject.toml"))["tool"]
        if "dagster" in tools or (project / "workspace.yaml").exists():
            return []
        own = tools["dg"]["project"]
        return ["-m", own.get("code_location_target_module") or f"{own['root_module']}.definitions"]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []  # Dagster says what it misses


def _require_locations(project: Path, table: str) -> None:
    """Return when a directory is no workspace of servers or of other projects.

    Raises:
        ProofError: it is one; these are named.
    """
    listed = _read(project / "workspace.yaml", yaml.safe_load).get("load_from")
    if isinstance(listed, list) and listed:
        servers = [each for each in listed if isinstance(each, dict) and "grpc_server" in each]
        if len(servers) == len(listed):
            raise ProofError(
                "Its workspace.yaml names servers (grpc_server), and not what these load.",
                f"Write a check for each code location, with its project and module: {table}",
            )
    own = _read(project / "pyproject.toml", tomllib.loads)
    tools = own.get("tool") if isinstance(own.get("tool"), dict) else {}
    for told in (_read(project / "dg.toml", tomllib.loads), (tools or {}).get("dg")):
        workspace = told.get("workspace") if isinstance(told, dict) else None
        projects = workspace.get("projects") if isinstance(workspace, dict) else None
        if isinstance(projects, list) and projects:
            paths = [str(each.get("path")) for each in projects if isinstance(each, dict)]
            raise ProofError(
                f"It is a workspace of dg, with the projects {', '.join(paths)}.",
                f'Write a check for each of them, as in: directory = "{paths[0]}" in {table}',
            )


def _read(path: Path, parse: Callable[[str], Any]) -> dict[str, Any]:
    """Return the mapping that a file holds, {} where it holds none: its tool says why."""
    try:
        found = parse(read_stored_text(path))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _run(bench: OwnBench, *command: str | Path) -> Completed:
    # Dagster puts the working directory on the path for a file or a module; not for src/.
    path = [str(each) for each in (bench.project, bench.project / "src") if each.is_dir()]
    return bench.run(
        *command,
        variables={
            "DAGSTER_HOME": str(bench.place.path / "dagster"),
            "DAGSTER_DISABLE_TELEMETRY": "yes",
            # `prepare_if_dev` of dagster-dbt makes the manifest under `dagster dev` alone, and no
            # repository holds it.
            "DAGSTER_IS_DEV_CLI": "1",
            "NO_COLOR": "1",
            "PYTHONPATH": ":".join(path),
            "PYTHONWARNINGS": "ignore",
        },
    )


def _judge(bench: OwnBench, done: Completed, location: list[str]) -> Finding:
    lines = [_COLOUR.sub("", each) for each in done.stdout.splitlines()]
    errors = load_errors(lines)
    valid = [found["name"] for each in lines if (found := _VALID.search(each))]
    rows = [("code location", name, "failed", text) for name, text in errors.items()]
    rows += [("code location", name, "valid", "") for name in valid]
    if errors or done.returncode:
        told = "\n".join(f"code location {name}:\n{text}" for name, text in errors.items())
        detail = told or (
            f"dagster definitions validate ended with exit code {done.returncode}:\n"
            f"{last_words(done)}"
        )
        return Finding("failed", detail, "", {"code_locations": len(rows)}, _table(rows))
    if not valid:
        return Finding("failed", f"Dagster found no code location:\n{last_words(done)}")
    listed = _definitions(bench, location)
    rows += [(kind, name, "valid", "") for kind, name in listed]
    tally = Counter({"code location": len(valid)}) + Counter(kind for kind, _ in listed)
    shown = ", ".join(f"{number} {kind}{'s' * (number > 1)}" for kind, number in tally.items())
    counts = {f"{kind.replace(' ', '_')}s": number for kind, number in tally.items()}
    return Finding("passed", f"loaded and valid: {shown}", "", counts, _table(rows))


def load_errors(lines: list[str]) -> dict[str, str]:
    """Return, by code location, why it cannot be loaded, of what `definitions validate` prints."""
    errors: dict[str, list[str]] = {}
    name = ""
    for line in lines:
        found = _FAILED.search(line)
        if found:
            name = found["name"]
            errors[name] = []
        elif _NEXT.match(line):
            name = ""
        elif name:
            errors[name].append(line)
    return {name: "\n".join(text).strip() for name, text in errors.items()}


def _definitions(bench: OwnBench, location: list[str]) -> list[tuple[str, str]]:
    """Return type and name of all that is defined; nothing where this Dagster cannot tell."""
    with writing(bench.place.path):
        program = Path(shutil.copy(_PROGRAM, bench.place.path))
    done = _run(bench, "python", program, *location)
    listed = []
    for line in done.stdout.splitlines() if not done.returncode else ():
        with contextlib.suppress(ValueError):
            kind, name = json.loads(line)
            listed.append((str(kind), str(name)))
    return listed


def _table(rows: list[tuple[str, str, str, str]]) -> Table:
    return Table.cut("definitions", ("type", "name", "state", "error"), tuple(rows))
