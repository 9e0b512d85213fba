"""The modules that the distributions of a prefix bring, and whether they import."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path, PurePosixPath

from elt_env import probes
from elt_env.environment.prefix import Prefix
from elt_env.machine.environment_variables import prefix_environment
from elt_env.machine.process import Completed, Say, end_of, run
from elt_env.machine.scratch import scratch_directory
from elt_env.runtime.cancelling import side_by_side

_PROBE = probes.DIRECTORY / "import_modules.py"
_INIT = "__init__.py"
PATIENCE = 120.0
"""Seconds that the import of one module may take."""

_TOGETHER = 4000
"""Modules that one interpreter imports: a second one imports anew what they have in common."""

OUT_OF_PATIENCE = "Timeout ("
"""What faulthandler writes when it ends the interpreter."""

# They want what tests want, or are copies of others that their owner has changed.
_APART = re.compile(
    r"(^|\.)(tests?|_?testing|test_\w*|\w+_tests?|conftest|__main__|_?vendor(ed)?|_vendored)(\.|$)"
)
# Sphinx runs it, at the place where documentation is built
# (https://www.sphinx-doc.org/en/master/usage/configuration.html).
_OF_SPHINX = re.compile(r"^docs?(\.\w+)*\.conf$")
# Beside it lies an env.py, which Alembic runs and nobody imports.
_OF_ALEMBIC = "script.py.mako"


@dataclass(frozen=True)
class ImportResult:
    """What happened when a module was imported.

    Attributes:
        fault: the exception in one line; None when it imported.
        missing: the module that the import did not find, where that is why it failed.
        hidden: whether the standard library has a module of the name that is above it.
        apart: why it is nothing to import, as `is a program`; "" where it may be.
        before: the submodule, there and not imported, that it takes for an attribute; or "".
    """

    module: str
    fault: str | None
    seconds: float
    missing: str | None = None
    hidden: bool = False
    apart: str = ""
    before: str = ""


def modules_by_distribution(prefix: Prefix) -> dict[str, tuple[str, ...]]:
    """Return the top-level modules of every installed distribution, sorted."""
    return {each.name: top_level_modules(each.files) for each in prefix.distributions()}


def top_level_modules(files: Iterable[str]) -> tuple[str, ...]:
    """Return the modules to import for a distribution with these files (RECORD paths), sorted.

    A package counts once, by its own name; in a namespace (PEP 420) the first package below it
    counts, by its dotted name. What Sphinx is configured by is none.
    """
    paths = [PurePosixPath(each) for each in files]
    packages = {path.parent for path in paths if path.name == _INIT and path.parent.parts}
    return tuple(sorted(set(_modules(paths, packages))))


def submodules(files: Iterable[str]) -> tuple[str, ...]:
    """Return the modules below the top-level ones of a distribution with these files, sorted.

    Those nearest to the top come first. Left out are tests, copies of other distributions, and
    what no import finds: directories that are no packages, and the scripts of Alembic.
    """
    paths = [PurePosixPath(each) for each in files]
    packages = {path.parent for path in paths if path.name == _INIT and path.parent.parts}
    scripts = {path.parent / "env" for path in paths if path.name == _OF_ALEMBIC}
    found = {
        ".".join(place.parts)
        for path in paths
        if path.suffix in {".py", ".so"}
        for place in (_place(path),)
        if place not in scripts and _is_below(place, packages)
    }
    wanted = {each for each in found if not _APART.search(each)}
    return tuple(sorted(wanted, key=lambda each: (each.count("."), each)))


def _place(path: PurePosixPath) -> PurePosixPath:
    return path.parent if path.name == _INIT else path.parent / path.name.split(".")[0]


def _is_below(place: PurePosixPath, packages: set[PurePosixPath]) -> bool:
    """Tell whether all that is above a module, from the first package on, is a package."""
    above = [each for each in place.parents if each.parts]
    first = next((number for number, each in enumerate(reversed(above)) if each in packages), None)
    if first is None or not all(part.isidentifier() for part in place.parts):
        return False
    return all(each in packages for each in above[: len(above) - first])


def _modules(paths: list[PurePosixPath], packages: set[PurePosixPath]) -> Iterator[str]:
    for path in paths:
        above = [each for each in reversed(path.parents) if each in packages]
        place = above[0] if above else path.parent / path.name.split(".")[0]
        named = all(part.isidentifier() for part in place.parts)
        module = ".".join(place.parts)
        if path.suffix not in {".py", ".so"} or not named or _OF_SPHINX.search(module):
            continue
        if place.name not in {"__init__", "__main__"}:
            yield module


def import_all(  # noqa: PLR0913  # limits of three kinds
    modules: Iterable[str],
    prefix: Prefix,
    limit: float,
    say: Say,
    patience: float = PATIENCE,
    *,
    below: Iterable[str] = (),
    enough: float | None = None,
    is_fault: Callable[[ImportResult], bool] = lambda _: True,
) -> list[ImportResult]:
    """Import every module in the prefix's own interpreter, isolated, side by side.

    Returns what happened to each, sorted by module; a module that ends the interpreter, or takes
    longer than `patience` seconds, is one with a fault. What fails among others is tried once
    more alone: some modules refuse to be imported after another (setuptools after distutils).

    Args:
        modules: their dotted names.
        prefix: where they are.
        limit: seconds for all of them together.
        say: hears of each fault.
        patience: seconds for one of them.
        below: submodules to import after them; one of a package that does not import has no result.
        enough: seconds after which none of these is begun; what is left has no result.
        is_fault: whether it is worth it to try that one again.

    Raises:
        TimeLimitError: together they took longer than `limit` seconds.
    """
    names = sorted(set(modules))
    submodules = sorted(set(below).difference(names))
    workers = min(os.cpu_count() or 1, 4, 1 + (len(names) + len(submodules)) // _TOGETHER)
    firsts, thens = _cut(names, workers), _cut([f"?{each}" for each in submodules], workers)
    parts = [[*first, *then] for first, then in zip_longest(firsts, thens, fillvalue=())]
    # Modules may write into the directory in which they are imported.
    with scratch_directory("imports") as place:
        end = None if enough is None else time.monotonic() + enough
        probe = _Probe(prefix, place, time.monotonic() + limit, patience, workers, end)
        together = probe.attempt(parts)
        named = set(names)
        tops = probe.settled([each for each in together if each.module in named], is_fault)
        broken = tuple(f"{each.module}." for each in tops if each.fault)
        rest = [each for each in together if each.module not in named]
        whole = [each for each in rest if not each.module.startswith(broken)]
        results = [*tops, *probe.settled(whole, is_fault)]
    for each in results:
        if each.fault:
            say(f"imports: {each.module}: {each.fault}")
    return sorted(results, key=lambda each: each.module)


def _cut(names: list[str], parts: int) -> list[list[str]]:
    """Return lists of one length; a distribution's neighbours, which import the same, together."""
    size = max(1, -(-len(names) // parts))
    return [names[start : start + size] for start in range(0, len(names), size)]


@dataclass(frozen=True)
class _Probe:
    """The program that imports modules.

    Attributes:
        place: the directory it runs in.
        deadline: the moment of the monotonic clock at which it is ended.
        patience: seconds that it may spend on one module.
        workers: how many run side by side.
        enough: the moment of that clock after which it begins none; None for no such moment.
    """

    prefix: Prefix
    place: Path
    deadline: float
    patience: float
    workers: int
    enough: float | None = None

    def attempt(self, parts: list[list[str]]) -> list[ImportResult]:
        """Import the parts side by side; when that is interrupted, none goes on."""
        return [e for part in side_by_side(self._import_part, parts, self.workers) for e in part]

    def settled(
        self,
        results: list[ImportResult],
        is_fault: Callable[[ImportResult], bool] = lambda _: True,
    ) -> list[ImportResult]:
        """Return the results; of what is at fault, what came of it when it was tried alone."""
        again = [[each.module] for each in results if each.fault and is_fault(each)]
        alone = {each.module: each for each in replace(self, enough=None).attempt(again)}
        return [alone.get(each.module, each) for each in results]

    def _import_part(self, names: list[str]) -> list[ImportResult]:
        done: list[ImportResult] = []
        rest = names
        while rest:
            answer = self._run(rest)
            results, culprit, left = _read(answer.stdout)
            done += results
            if left:
                break
            if culprit is None and len(results) < len(rest):
                culprit = rest[len(results)].lstrip("?")
            if culprit is not None:
                fault = self._end(answer)
                inside = [each[1:] for each in rest if each.startswith(f"?{culprit}.")]
                done += [ImportResult(each, fault, 0.0) for each in (culprit, *inside)]
            seen = {each.module for each in done}
            rest = [name for name in rest if name.lstrip("?") not in seen]
        return done

    def _run(self, names: list[str]) -> Completed:
        enough = [] if self.enough is None else [str(self.enough)]
        return run(
            [self.prefix.python, "-I", _PROBE, str(self.patience), *enough],
            input="\n".join(names),
            limit=max(0.0, self.deadline - time.monotonic()),
            env=prefix_environment(self.prefix.path),
            cwd=self.place,
        )

    def _end(self, answer: Completed) -> str:
        """Return in one line how the interpreter ended before it had answered."""
        if answer.returncode == 1 and OUT_OF_PATIENCE in answer.stderr:
            return f"the import takes longer than {self.patience:g} s"
        code = answer.returncode
        cause = end_of(answer.stderr.strip(), 3)
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        return f"the interpreter ended with {how}" + (f": {cause}" if cause else "")


def _read(text: str) -> tuple[list[ImportResult], str | None, int]:
    """Return the results, the module that was tried at the end, and how many were not begun."""
    results: list[ImportResult] = []
    trying: str | None = None
    left = 0
    for line in text.splitlines():
        content = json.loads(line)
        if "trying" in content:
            trying = content["trying"]
        elif "left" in content:
            left = content["left"]
        else:
            results.append(ImportResult(**content))
            trying = None
    return results, trying, left
