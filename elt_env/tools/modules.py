"""Which modules the distributions of a prefix bring, and whether they import."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from elt_env.tools.environment_variables import prefix_environment
from elt_env.tools.files import writing
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Completed, Say, end_of, run

_PROBE = Path(__file__).parent / "probes" / "import_modules.py"
_INIT = "__init__.py"
PATIENCE = 120.0
"""Seconds that the import of one module may take."""

OUT_OF_PATIENCE = "Timeout ("
"""What faulthandler writes when it ends the interpreter."""


@dataclass(frozen=True)
class Imported:
    """What happened when a module was imported.

    Attributes:
        fault: the exception in one line; None when it imported.
    """

    module: str
    fault: str | None
    seconds: float


def modules_by_distribution(prefix: Prefix) -> dict[str, tuple[str, ...]]:
    """Return the top-level modules of every installed distribution, sorted."""
    return {each.name: top_level_modules(each.files) for each in prefix.distributions()}


def top_level_modules(files: Iterable[str]) -> tuple[str, ...]:
    """Return the modules to import for a distribution with these files (RECORD paths), sorted.

    A package counts once, by its own name; in a namespace (PEP 420) the first package below it
    counts, by its dotted name.
    """
    paths = [PurePosixPath(each) for each in files]
    packages = {path.parent for path in paths if path.name == _INIT and path.parent.parts}
    return tuple(sorted(set(_modules(paths, packages))))


def _modules(paths: list[PurePosixPath], packages: set[PurePosixPath]) -> Iterator[str]:
    for path in paths:
        above = [each for each in reversed(path.parents) if each in packages]
        place = above[0] if above else path.parent / path.name.split(".")[0]
        named = all(part.isidentifier() for part in place.parts)
        if path.suffix in {".py", ".so"} and named and place.name not in {"__init__", "__main__"}:
            yield ".".join(place.parts)


def import_all(
    modules: Iterable[str], prefix: Prefix, limit: float, say: Say, patience: float = PATIENCE
) -> list[Imported]:
    """Import every module in the prefix's own interpreter, isolated, side by side.

    Returns what happened to each, sorted by module; a module that ends the interpreter, or takes
    longer than `patience` seconds, is one with a fault. What fails among others is tried once
    more alone: some modules refuse to be imported after another (setuptools after distutils).

    Raises:
        TimeLimitError: together they took longer than `limit` seconds.
    """
    names = sorted(set(modules))
    workers = max(1, min(os.cpu_count() or 1, 4))
    # A distribution's neighbours import the same things: keep them together.
    size = max(1, -(-len(names) // workers))
    parts = [names[start : start + size] for start in range(0, len(names), size)]
    # Modules may write into the directory in which they are imported.
    with (
        writing(Path(tempfile.gettempdir())),
        tempfile.TemporaryDirectory(prefix="elt-env-imports-") as place,
    ):
        probe = _Probe(prefix, Path(place), time.monotonic() + limit, patience)
        together = probe.attempt(parts, workers)
        again = [[each.module] for each in together if each.fault]
        alone = {each.module: each for each in probe.attempt(again, workers)}
    results = [alone.get(each.module, each) for each in together]
    for each in results:
        if each.fault:
            say(f"imports: {each.module}: {each.fault}")
    return sorted(results, key=lambda each: each.module)


@dataclass(frozen=True)
class _Probe:
    """The program that imports modules.

    Attributes:
        place: the directory it runs in.
        deadline: the moment of the monotonic clock at which it is ended.
        patience: seconds that it may spend on one module.
    """

    prefix: Prefix
    place: Path
    deadline: float
    patience: float

    def attempt(self, parts: list[list[str]], workers: int) -> list[Imported]:
        """Import the parts side by side; when that is interrupted, none goes on."""
        given_up = threading.Event()

        def heed(line: str) -> None:
            del line
            if given_up.is_set():
                raise CancelledError

        with ThreadPoolExecutor(workers) as pool:
            try:
                done = pool.map(lambda part: self._import_part(part, heed), parts)
                return [each for part in done for each in part]
            finally:
                given_up.set()

    def _import_part(self, names: list[str], heed: Say) -> list[Imported]:
        done: list[Imported] = []
        rest = names
        while rest:
            answer = self._run(rest, heed)
            results, culprit = _read(answer.stdout)
            done += results
            if culprit is None and len(results) < len(rest):
                culprit = rest[len(results)]
            if culprit is not None:
                done.append(Imported(culprit, self._end(answer), 0.0))
            seen = {each.module for each in done}
            rest = [name for name in rest if name not in seen]
        return done

    def _run(self, names: list[str], heed: Say) -> Completed:
        return run(
            [self.prefix.python, "-I", _PROBE, str(self.patience)],
            input="\n".join(names),
            limit=max(0.0, self.deadline - time.monotonic()),
            env=prefix_environment(self.prefix.path),
            cwd=self.place,
            say=heed,
        )

    def _end(self, answer: Completed) -> str:
        """Return in one line how the interpreter ended before it had answered."""
        if answer.returncode == 1 and OUT_OF_PATIENCE in answer.stderr:
            return f"the import takes longer than {self.patience:g} s"
        code = answer.returncode
        cause = end_of(answer.stderr.strip(), 3)
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return f"the interpreter ended with {how}" + (f": {cause}" if cause else "")


def _read(text: str) -> tuple[list[Imported], str | None]:
    results: list[Imported] = []
    trying: str | None = None
    for line in text.splitlines():
        content = json.loads(line)
        if "trying" in content:
            trying = content["trying"]
        else:
            results.append(Imported(**content))
            trying = None
    return results, trying
