"""Meltano of the built environment extracts the rows of its own lock and loads them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakKeyDictionary

from elt_env.environment.plugins import MeltanoProject
from elt_env.environment.prefix import Prefix
from elt_env.errors import ProofError
from elt_env.machine.process import Say
from elt_env.proof.checks.check_tools import CheckTools
from elt_env.proof.checks.finding import Finding
from elt_env.proof.checks.plugins import SMOKE, provide_locked
from elt_env.proof.checks.smoke import Bench, Needs, conduct, last_words
from elt_env.proof.rows import Row, to_json_lines
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored_text

LOADED = "lock_rows.jsonl"
"""The file that the loader writes: the stream's name."""

NEEDS = Needs(("meltano",), ("meltano",))
_JOB = "load_lock"
_ADDED = "_sdc_"  # what the extractor adds to every row
_NAMED = 5


@dataclass(frozen=True)
class LoadedRows:
    """What Meltano carried.

    Attributes:
        directory: where the loaded file lies.
        rows: how many there are of each record.
    """

    directory: Path
    rows: Counter[str]

    @property
    def number(self) -> int:
        """How many rows there are."""
        return self.rows.total()

    def __str__(self) -> str:
        kinds = ", ".join(f"{number} {record}" for record, number in self.rows.items())
        return f"{self.number} rows ({kinds})"


# What `meltano_smoke` has loaded, for `dbt_smoke` of the same run: the file, and the rows.
_loaded: WeakKeyDictionary[Prefix, tuple[str, LoadedRows]] = WeakKeyDictionary()


def meltano_smoke(prefix: Prefix, tools: CheckTools, say: Say) -> Finding:
    """Every row that Meltano extracts is loaded, counted and compared."""
    return conduct(_check, NEEDS, prefix, tools, say)


def _check(bench: Bench) -> Finding:
    _loaded.pop(bench.prefix, None)
    loaded = load(bench)
    _loaded[bench.prefix] = (read_stored_text(loaded.directory / LOADED), loaded)
    number = loaded.number  # the same on both sides, or load() would have raised
    counts = {"extracted_rows": number, "loaded_rows": number}
    return Finding("passed", f"{loaded} extracted, {number} rows loaded", counts=counts)


def load_once(bench: Bench) -> LoadedRows:
    """Return what `meltano_smoke` of this run has loaded; what is loaded now, where it has not.

    Raises: as `load`.
    """
    known = _loaded.pop(bench.prefix, None)
    if known is None:
        return load(bench)
    text, loaded = known
    directory = bench.place.directory("loaded")
    write_atomically(directory / LOADED, text)
    return replace(loaded, directory=directory)


def load(bench: Bench) -> LoadedRows:
    """Let the prefix's Meltano carry the rows of the lock into an empty directory.

    Raises:
        ProofError: Meltano failed, or not every row arrived as it was.
        ToolError: a plugin cannot be installed, or Meltano is not there.
        TimeLimitError: it took longer than the bench's limit.
        IndexUnreachableError: the package index does not answer.
    """
    rows = bench.rows()
    extracted = bench.place.path / "extract" / LOADED
    write_atomically(extracted, to_json_lines(rows))
    directory = bench.place.directory("loaded")
    project = MeltanoProject(
        path=bench.project("meltano"),
        system=bench.place.directory("meltano-system"),
        prefix=bench.prefix,
        indexes=bench.tools.files.indexes.locked_to(bench.lock.indexes),
        limit=bench.limit,
    )
    provide_locked(project, SMOKE, bench.tools, bench.lock, bench.say)
    variables = {"LOCK_ROWS": str(extracted), "LOADED_ROWS": str(directory)}
    done = project.run(["run", "--no-install", _JOB], variables, bench.say)
    if done.returncode:
        raise ProofError(
            f"meltano run {_JOB} ended with exit code {done.returncode}:\n{last_words(done)}",
            "Its full output is in the log.",
        )
    check_loaded(rows, directory / LOADED)
    return LoadedRows(directory, Counter(row["record"] for row in rows))


def check_loaded(rows: Iterable[Row], path: Path) -> None:
    """Return when the loaded file holds exactly these rows, in whatever order.

    Raises:
        ProofError: it does not; both counts and the first rows that differ are named.
    """
    wanted = Counter(_canonical(row) for row in rows)
    try:
        lines = read_stored_text(path).splitlines()
        found = Counter(_canonical(json.loads(line)) for line in lines)
    except FileNotFoundError:
        found = Counter()
    except ValueError as error:
        raise ProofError(
            f"Meltano loaded lines that are not JSON into {path}: {error}", "See the log."
        ) from error
    lost, strange = wanted - found, found - wanted
    if lost or strange:
        raise ProofError(
            f"Meltano extracted {wanted.total()} rows and loaded {found.total()}."
            + _examples("lost", lost)
            + _examples("not extracted so", strange),
            "Try another version of the loader in meltano/meltano.yml.",
        )


def _canonical(row: Row) -> str:
    own = {name: value for name, value in row.items() if not name.startswith(_ADDED)}
    return json.dumps(own, sort_keys=True, ensure_ascii=False)


def _examples(word: str, rows: Counter[str]) -> str:
    if not rows:
        return ""
    names = [_name(json.loads(each)) for each in sorted(rows)[:_NAMED]]
    more = ", …" if len(rows) > _NAMED else ""
    return f"\n{rows.total()} {word}: {', '.join(names)}{more}"


def _name(row: Row) -> str:
    parts = (row.get(name) for name in ("record", "package", "version", "check_name", "role"))
    return " ".join(str(part) for part in parts if part)
