"""Compiles modules to bytecode that is the same in every directory and beside any other package."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.tools import probes
from elt_env.tools.files import storage_error, writing
from elt_env.tools.prefix import Prefix
from elt_env.tools.process import Say, clean_environment, end_of, run

_PROBE = Path(probes.__file__).parent / "compile_bytecode.py"
_FULL = "No space left on device"
_LIFE = "... still running"


def compile_modules(
    python: Path, root: Path, groups: Iterable[Sequence[str]], limit: float, say: Say
) -> tuple[str, ...]:
    """Compile the modules of every group below `root`, two groups at a time.

    Beside each source lies its bytecode then, with the source's checked hash (PEP 552). Its bytes
    depend on the sources of the group and on the interpreter's version, and on nothing else.

    Args:
        python: the interpreter, of any place.
        root: the directory that the bytecode does not name.
        groups: paths of sources below `root`, those of one package together.
        limit: seconds it may take.
        say: given a sign of life.

    Returns what does not compile, a line each: its path and why.

    Raises:
        StorageError: the disk is full.
        ToolError: the interpreter cannot do it.
        TimeLimitError: it took longer.
    """

    def heed(line: str) -> None:
        if line.startswith(_LIFE):
            say(f"bytecode: {line}")

    done = run(
        # Isolated by its variables: -I would let the hash seed vary, on which the order of sets
        # in bytecode rests before Python 3.11.
        [python, "-S", "-B", _PROBE],
        input=json.dumps(sorted(groups, key=lambda group: (-len(group), group))),
        limit=limit,
        env=clean_environment(extra={"PYTHONHASHSEED": "0"}),
        cwd=root,
        say=heed,
    )
    if done.returncode:
        if _FULL in done.stderr:
            raise storage_error(root, "", full=True)
        raise ToolError(
            f"The modules of {root} cannot be compiled: {end_of(done.stderr.strip(), 5)}",
            "Run the same command again.",
        )
    return tuple(done.stdout.splitlines())


def compile_prefix(prefix: Prefix, limit: float, say: Say) -> None:
    """Compile every module of a prefix but those whose bytecode a conda package brings.

    What does not compile is left out, as pip leaves it out: templates, and modules that are there
    for another Python.

    Raises: as `compile_modules`.
    """
    with writing(prefix.path):
        groups = module_groups(prefix)
    left_out = compile_modules(prefix.python, prefix.path, groups, limit, say)
    number = sum(map(len, groups)) - len(left_out)
    note = f"; {len(left_out)} do not compile" if left_out else ""
    say(f"bytecode: {number} modules of {len(groups)} packages compiled{note}")


def module_groups(prefix: Prefix) -> list[list[str]]:
    """Return the modules to compile by their package, as sorted paths below the prefix.

    A module that several distributions bring, or none, is by itself.
    """
    owner_of, kept = _of_conda(prefix)
    owner_of |= _of_distributions(prefix)
    groups: dict[str, list[str]] = {}
    for source in _sources(prefix):
        if _bytecode_of(source, prefix) not in kept:
            groups.setdefault(owner_of.get(source, source), []).append(source)
    return [sorted(group) for _, group in sorted(groups.items())]


def _sources(prefix: Prefix) -> Iterator[str]:
    # A script finds the modules beside it first.
    places = [prefix.path / "bin", prefix.library]
    if not prefix.site_packages.is_relative_to(prefix.library):
        places.append(prefix.site_packages)
    start = len(str(prefix.path)) + 1
    for place in places:
        for directory, _, names in os.walk(place):
            here = directory[start:]
            yield from (f"{here}/{name}" for name in names if name.endswith(".py"))


def _bytecode_of(source: str, prefix: Prefix) -> str:
    directory, _, name = source.rpartition("/")
    tag = f"cpython-{prefix.lock.target.python.replace('.', '')}"
    return f"{directory}/__pycache__/{name.removesuffix('.py')}.{tag}.pyc"


def _of_conda(prefix: Prefix) -> tuple[dict[str, str], set[str]]:
    """Return the packages of conda's files, and its bytecode."""
    owner_of: dict[str, str] = {}
    for path in sorted((prefix.path / "conda-meta").glob("*.json")):
        files = json.loads(path.read_text(encoding="utf-8")).get("files", ())
        owner_of.update(dict.fromkeys(files, path.name))
    return owner_of, {each for each in owner_of if each.endswith(".pyc")}


def _of_distributions(prefix: Prefix) -> dict[str, str]:
    site = os.path.relpath(prefix.site_packages, prefix.path)
    owner_of: dict[str, str] = {}
    for distribution in prefix.distributions():
        for file in distribution.files:
            if file.endswith(".py"):
                path = os.path.normpath(f"{site}/{file}")
                owner_of[path] = path if path in owner_of else distribution.name
    return owner_of
