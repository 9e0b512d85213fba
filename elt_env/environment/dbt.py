"""The manifest of a dbt project: what is in it, as dbt's own parser sees it."""

from __future__ import annotations

import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from elt_env.environment.scratch_dir import left_out
from elt_env.errors import ToolError
from elt_env.machine.process import clean_environment, end_of, run
from elt_env.package.canonical import digest_of, short
from elt_env.runtime.files import remove_abandoned, sha256_of, write_atomically, writing
from elt_env.runtime.input_files import read_stored

_KEPT = 30 * 24 * 3600.0  # seconds
_QUIET = ("--quiet", "--no-use-colors", "--no-version-check", "--no-partial-parse")
_VERSIONS = ("dbt-core", "dbt-duckdb")
_CLOCK = re.compile(r"^\d\d:\d\d:\d\d +", re.MULTILINE)


def dbt_program() -> Path:
    """Return the `dbt` that belongs to this interpreter, whether it is there or not."""
    return Path(sys.executable).with_name("dbt")


def find_manifest(
    project: Path, cache: Path, variables: Mapping[str, object], limit: float
) -> Path:
    """Return the manifest of a dbt project, parsed where it was not yet with this content.

    It lies in `cache`, under the digest of the project's files, of dbt's versions and of the
    variables. Several processes may ask at once.

    Raises:
        ToolError: dbt is not there, or finds fault with the project.
        TimeLimitError: it took longer than `limit` seconds.
        StorageError: the cache is not writable.
    """
    path = cache / short(_digest(project, variables)) / "manifest.json"
    if not path.exists():
        write_atomically(path, _parse(project, cache, variables, limit))
        remove_abandoned((each for each in cache.iterdir() if each != path.parent), _KEPT)
    return path


def _digest(project: Path, variables: Mapping[str, object]) -> str:
    versions = {name: metadata.version(name) for name in _VERSIONS}
    files = {each.relative_to(project).as_posix(): sha256_of(each) for each in _files(project)}
    return digest_of([str(project), files, versions, dict(variables)])


def _files(project: Path) -> list[Path]:
    found = []
    for directory, directories, files in os.walk(project):
        for skipped in left_out(directory, [*directories, *files]):
            (directories if skipped in directories else files).remove(skipped)
        found += [Path(directory, name) for name in files]
    return sorted(found)


def _parse(project: Path, cache: Path, variables: Mapping[str, object], limit: float) -> bytes:
    with writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(dir=cache, prefix=".parse-")
    with place as target:
        program = dbt_program()
        where = ("--project-dir", project, "--profiles-dir", project)
        into = ("--target-path", target, "--log-path", target)
        given = ("--vars", json.dumps(dict(variables)))
        done = run(
            [program, "parse", *where, *into, *given, *_QUIET],
            limit=limit,
            env=clean_environment(
                path=[program.parent],
                # It is of this project's own packages, which keep their bytecode.
                extra={"DBT_SEND_ANONYMOUS_USAGE_STATS": "false", "PYTHONDONTWRITEBYTECODE": ""},
            ),
            cwd=project,
            merge=True,
        )
        if done.returncode:
            raise ToolError(
                f"dbt cannot parse {project}:\n{end_of(_CLOCK.sub('', done.stdout).strip(), 20)}",
                f"Correct what dbt names in {project.name}/.",
            )
        return read_stored(Path(target) / "manifest.json")
