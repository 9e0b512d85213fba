"""A team's own Meltano project, run by the Meltano of the environment, with every row counted."""

from __future__ import annotations

import csv
import io
import os
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

from elt_env import probes
from elt_env.environment.meltano_file import MeltanoFiles, MeltanoPlugin, read_meltano
from elt_env.environment.plugins import QUIET, MeltanoProject, index_variables
from elt_env.errors import ProofError, SpecError
from elt_env.machine.logins import completed
from elt_env.project.own_checks import MeltanoCheck
from elt_env.proof.checks.finding import Finding
from elt_env.proof.checks.own.bench import OwnBench, last_words, table_of
from elt_env.proof.checks.plugins import pin_plugins, provide_locked
from elt_env.proof.singer_rows import SingerRows, parse_report
from elt_env.runtime.files import writing
from elt_env.runtime.input_files import open_file, read_stored_text

_PROGRAM = probes.DIRECTORY / "count_rows.py"
_COUNTED = {"extractors": "extractor", "loaders": "loader"}
_CSV = (".csv", ".tsv")


def run_meltano(bench: OwnBench) -> Finding:
    """What is run ends with exit code 0, and no row is lost from extractor to loader.

    Raises:
        ProofError: the project has no job, or a file of rows cannot be read.
        ToolError: a plugin cannot be installed, or the prefix has no Meltano.
        TimeLimitError: it was still running at the limit.
        NetworkError: the package index does not answer.
    """
    check = bench.check
    if not isinstance(check, MeltanoCheck):
        raise TypeError(check)
    files = _files(bench)
    words = check.words or ("run", *_jobs(files, bench))
    _forget_loaded(bench.project, check.loaded)
    system = bench.place.directory("meltano-system")
    variables = _variables(bench, system)
    _install(bench, system, variables)
    files = read_meltano(bench.project)  # in which each plugin may have been pinned
    report = bench.place.path / "rows.jsonl"
    _count(bench, files, system, report)
    where = check.meltano_environment
    options = [f"--environment={where}"] if where else []
    done = bench.run("meltano", *options, *words, variables=variables)
    rows = _rows(bench, report, check.loaded)
    mapped = any(each.kind == "mappers" for each in files.plugins)
    faults = rows.faults(mapped=mapped, wanted=check.rows)
    said = _said(rows)
    if done.returncode:
        ended = f"meltano {' '.join(words)} ended with exit code {done.returncode}"
        faults = [f"{ended} ({said}):\n{last_words(done)}", *faults]
    if faults:
        return Finding("failed", "\n".join(faults), "", rows.counts(), rows.table())
    return Finding("passed", said, "", rows.counts(), rows.table())


def _files(bench: OwnBench) -> MeltanoFiles:
    try:
        return read_meltano(bench.project)
    except SpecError as error:
        raise ProofError(error.problem, error.remedy) from error


def _jobs(files: MeltanoFiles, bench: OwnBench) -> tuple[str, ...]:
    if not files.jobs:
        raise ProofError(
            "The Meltano project has no job, so it is not known what to run.",
            f'Write it into {table_of(bench.name, bench.lock)}: run = "run TAP TARGET"',
        )
    return files.jobs


def _variables(bench: OwnBench, system: Path) -> dict[str, str]:
    return QUIET | {
        "MELTANO_PROJECT_ROOT": str(bench.project),
        "MELTANO_SYS_DIR_ROOT": str(system),
        "MELTANO_DATABASE_URI": f"sqlite:///{system / 'meltano.db'}",
        "MELTANO_AUTO_INSTALL": "false",
        "XDG_STATE_HOME": str(system / "state"),
    }


def _install(bench: OwnBench, system: Path, variables: dict[str, str]) -> None:
    """Let Meltano install the plugins: once for all prefixes, or in the image."""
    indexes = bench.tools.files.indexes.locked_to(bench.lock.indexes)
    if bench.sandbox is None:
        project = MeltanoProject(
            bench.project, system, bench.prefix, indexes, bench.left, bench.variables
        )
        provide_locked(project, bench.name, bench.tools, bench.lock, bench.say)
        return
    pin_plugins(bench.project, bench.name, bench.tools, bench.lock)
    own = variables | index_variables(completed(indexes))
    done = bench.run("meltano", "install", variables=own)
    if done.returncode:
        raise ProofError(
            f"In the image, meltano install ended with exit code {done.returncode}:\n"
            f"{last_words(done)}",
            "Its full output is in the log.",
        )


def _count(bench: OwnBench, files: MeltanoFiles, system: Path, report: Path) -> None:
    """Put a program before each extractor and loader that counts what goes through."""
    place = bench.place.directory("counting")
    with writing(place):
        program = Path(shutil.copy(_PROGRAM, place))
        wrapped: dict[MeltanoPlugin, dict[str, str]] = {}
        for number, plugin in enumerate(files.plugins):
            if plugin.kind in _COUNTED:
                real = _real(plugin, bench.project, system)
                words = [bench.python, program, report, _COUNTED[plugin.kind], plugin.name, real]
                wrapper = place / f"{plugin.name}-{number}"
                quoted = " ".join(f"'{bench.seen(str(each))}'" for each in words)
                wrapper.write_text(f'#!/bin/sh\nexec {quoted} "$@"\n', encoding="utf-8")
                wrapper.chmod(0o755)
                wrapped[plugin] = {"executable": bench.seen(str(wrapper))}
    files.with_keys(wrapped)


def _real(plugin: MeltanoPlugin, project: Path, system: Path) -> str:
    """Return the program of a plugin, where Meltano would look for it."""
    name = plugin.executable
    installed = [
        *(system / plugin.kind / plugin.name / "venv" / "bin").glob(name),
        *sorted((system / plugin.kind).glob(f"*/venv/bin/{name}")),
    ]
    if plugin.pip_url and installed:
        return str(installed[0])
    return str(project / name) if "/" in name else name


def _forget_loaded(project: Path, patterns: tuple[str, ...]) -> None:
    """Remove what an earlier run loaded into the copied files."""
    with writing(project):
        for path in _loaded_files(project, patterns):
            path.unlink()


def _loaded_files(project: Path, patterns: tuple[str, ...]) -> list[Path]:
    found = {path for pattern in patterns for path in project.glob(pattern.removeprefix("./"))}
    return sorted(path for path in found if path.is_file())


def _rows(bench: OwnBench, report: Path, patterns: tuple[str, ...]) -> SingerRows:
    try:
        rows = parse_report(read_stored_text(report))
    except FileNotFoundError:
        rows = SingerRows(Counter(), Counter(), None)
    if not patterns:
        return rows
    try:
        counted = {
            path.relative_to(bench.project).as_posix(): _lines(path)
            for path in _loaded_files(bench.project, patterns)
        }
    except (OSError, ValueError, csv.Error) as error:
        raise ProofError(f"The loaded rows cannot be counted: {error}", "See `loaded`.") from error
    return replace(rows, loaded=_by_stream(counted, rows.received))


def _by_stream(counted: dict[str, int], streams: Counter[str]) -> Counter[str]:
    """Return numbers by stream, where a file has a stream's name, else by file."""
    loaded: Counter[str] = Counter()
    for path, number in counted.items():
        stem = os.path.basename(path).partition(".")[0]  # noqa: PTH119  # of a pattern
        fits = [each for each in streams if stem == each or stem.startswith(f"{each}-")]
        only = next(iter(streams)) if len(streams) == 1 else path
        loaded[max(fits, key=len) if fits else only] += number
    return loaded


def _lines(path: Path) -> int:
    with io.TextIOWrapper(open_file(path), encoding="utf-8", newline="") as file:
        if path.suffix in _CSV:
            return max(sum(1 for _ in csv.reader(file)) - 1, 0)
        return sum(1 for line in file if line.strip())


def _said(rows: SingerRows) -> str:
    if not rows.extracted and not rows.received:
        return "no row went through an extractor or a loader"
    loaded = "the loader does not say how many it loaded"
    if rows.loaded is not None:
        loaded = f"{rows.loaded.total()} loaded"
    return f"{rows.extracted.total()} rows extracted, {rows.received.total()} received, {loaded}"
