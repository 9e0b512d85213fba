"""Which modules the distributions of a prefix bring, and whether they import."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from elt_env.model.names import normalize
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say, clean_environment, end_of, run

_PROBE = Path(__file__).parent / "probes" / "import_modules.py"
_INIT = "__init__.py"


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
    return {
        normalize(each.metadata["Name"]): top_level_modules(str(file) for file in each.files or ())
        for each in importlib.metadata.distributions(path=[str(prefix.site_packages)])
    }


def top_level_modules(files: Iterable[str]) -> tuple[str, ...]:
    """Return the modules to import for a distribution with these files (RECORD paths), sorted.

    A package counts once, by its own name; in a namespace (PEP 420) the first package below it
    counts, by its dotted name.
    """
    paths = [PurePosixPath(each) for each in files]
    packages = {path.parent for path in paths if path.name == _INIT}
    return tuple(sorted(set(_modules(paths, packages))))


def _modules(paths: list[PurePosixPath], packages: set[PurePosixPath]) -> Iterator[str]:
    for path in paths:
        above = [each for each in reversed(path.parents) if each in packages]
        place = above[0] if above else path.parent / path.name.split(".")[0]
        named = place.parts and all(part.isidentifier() for part in place.parts)
        if path.suffix in {".py", ".so"} and named and place.name != "__main__":
            yield ".".join(place.parts)


def import_all(modules: Iterable[str], prefix: Prefix, limit: float, say: Say) -> list[Imported]:
    """Import every module in the prefix's own interpreter, isolated, side by side.

    Returns what happened to each, sorted by module; a module that ends the interpreter is one
    with a fault. What fails among others is tried once more alone: some modules refuse to be
    imported after another (setuptools after distutils).

    Raises:
        TimeLimitError: together they took longer than `limit` seconds.
    """
    names = sorted(set(modules))
    workers = max(1, min(os.cpu_count() or 1, 4))
    # A distribution's neighbours import the same things: keep them together.
    size = max(1, -(-len(names) // workers))

    def attempt(part: list[str]) -> list[Imported]:
        return _import_part(part, prefix, limit)

    parts = [names[start : start + size] for start in range(0, len(names), size)]
    with ThreadPoolExecutor(workers) as pool:
        together = [each for part in pool.map(attempt, parts) for each in part]
        again = [[each.module] for each in together if each.fault]
        alone = {each.module: each for part in pool.map(attempt, again) for each in part}
    results = [alone.get(each.module, each) for each in together]
    for each in results:
        if each.fault:
            say(f"imports: {each.module}: {each.fault}")
    return sorted(results, key=lambda each: each.module)


def _import_part(names: list[str], prefix: Prefix, limit: float) -> list[Imported]:
    done: list[Imported] = []
    rest = names
    while rest:
        answer = run(
            [prefix.python, "-I", _PROBE],
            input="\n".join(rest),
            limit=limit,
            env=clean_environment(path=[prefix.path / "bin"]),
            cwd=prefix.path,
        )
        results, culprit = _read(answer.stdout)
        done += results
        if culprit is None and len(results) < len(rest):
            culprit = rest[len(results)]
        if culprit is not None:
            cause = end_of(answer.stderr.strip(), 3) or "no message"
            fault = f"the interpreter ended with {answer.returncode}: {cause}"
            done.append(Imported(culprit, fault, 0.0))
        seen = {each.module for each in done}
        rest = [name for name in rest if name not in seen]
    return done


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
