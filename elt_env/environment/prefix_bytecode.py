"""The bytecode of a prefix, which is there before anybody runs it.

Nothing that is run from a sealed prefix writes into it. Every module has bytecode that holds for
it once the prefix is sealed, so Python has none to write, whoever runs it: root, who can write into
any directory, and a program that cleans the environment of what it starts, too. The variable
PYTHONDONTWRITEBYTECODE keeps back the rest: bytecode for `python -O`, and that of a source that is
edited. PYTHONPYCACHEPREFIX would do so as well, and would hide the bytecode that is there.
Directories stay as they are linked: read-only ones would hold back everybody but root, and their
owner from removing them. What a package itself writes there, `elt-env verify` names.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from elt_env import probes
from elt_env.environment.bytecode_cache import BytecodeCache
from elt_env.environment.prefix import Prefix
from elt_env.errors import ToolError
from elt_env.machine.process import Say, end_of, run
from elt_env.python.bytecode import bytecode_path, parse_bytecode
from elt_env.runtime.file_hashes import HashOf
from elt_env.runtime.files import sha256_of, write_atomically, writing
from elt_env.runtime.input_files import read_stored_text

_STALE = probes.DIRECTORY / "stale_bytecode.py"
_LEVELS = {"": 0, "1": 1, "2": 2}
_PLACED = "prefix_placeholder"


def compile_prefix(
    prefix: Prefix,
    cache: BytecodeCache,
    limit: float,
    say: Say,
    *,
    only: Collection[str] | None = None,
) -> dict[int, list[list[str]]]:
    """Compile every module of a prefix but those whose bytecode a conda package brings.

    Returned are their sources by level of optimization, those together that are compiled together.

    That of conda's stays where it is as the package brings it and the interpreter takes it. It does
    not where linking wrote the prefix into the source, where the source has another time than the
    bytecode says, and where it is for another Python; conda-meta then has the hash of what takes
    its place. What does not compile is left out, as pip leaves it out: templates, and modules that
    are there for another Python.

    Args:
        prefix: where everything else is in its place.
        cache: has what was compiled before, and gets what is compiled.
        limit: seconds it may take.
        say: told how many there are.
        only: paths of bytecode below the prefix; only the packages that these are of are compiled.

    Raises: as `BytecodeCache.compile`.
    """
    with writing(prefix.path):
        brought = brought_bytecode(prefix)
        kept = _that_hold(brought, prefix, limit, cache.hash_of)
        modules = _modules(prefix, brought, kept)
    sources = None if only is None else {each.source for each in map(parse_bytecode, only) if each}
    for level, groups in modules.items():
        wanted = [each for each in groups if sources is None or not sources.isdisjoint(each)]
        if wanted:
            number = cache.compile(wanted, level, prefix, limit, say)
            left_out = sum(map(len, wanted)) - number
            note = f"; {left_out} do not compile" if left_out else ""
            say(f"bytecode: {number} modules of {len(wanted)} packages are compiled{note}")
    with writing(prefix.path):
        _record([each for path, each in brought.items() if path not in kept], prefix)
    return modules


@dataclass(frozen=True)
class ShippedBytecode:
    """Bytecode that a conda package brought, of a source that is there.

    Attributes:
        path: its path below the prefix.
        source: that of its source.
        level: how it is optimized.
        record: the file of conda-meta that names it.
        sha256: what the package says of it; None where it says nothing.
        placed: whether linking wrote the prefix into the source, or into the bytecode itself.
        replaced: whether it was compiled anew, so that conda-meta has the hash of another file.
    """

    path: str
    source: str
    level: int
    record: Path
    sha256: str | None
    placed: bool
    replaced: bool


def brought_bytecode(prefix: Prefix) -> dict[str, ShippedBytecode]:
    """Return by its path the bytecode for the prefix's Python that conda packages brought."""
    records = dict(prefix.conda_records())
    entries = {
        entry["_path"]: entry
        for content in records.values()
        for entry in content.get("paths_data", {}).get("paths", ())
    }
    found = {}
    for record, content in records.items():
        for path in content.get("files", ()):
            bytecode = parse_bytecode(path)
            if bytecode is None or bytecode.tag != prefix.bytecode_tag:
                continue
            if bytecode.level in _LEVELS and (prefix.path / bytecode.source).is_file():
                mine, source = entries.get(path, {}), entries.get(bytecode.source, {})
                found[path] = ShippedBytecode(
                    path,
                    bytecode.source,
                    _LEVELS[bytecode.level],
                    record,
                    mine.get("sha256"),
                    placed=_PLACED in mine or _PLACED in source,
                    replaced="sha256_in_prefix" in mine,
                )
    return found


def _that_hold(
    brought: Mapping[str, ShippedBytecode], prefix: Prefix, limit: float, hash_of: HashOf
) -> set[str]:
    """Return the paths of the bytecode that is as conda brought it and that Python would take.

    What Python would take may have been written by a tool of the installation just now: whether
    that happened must make no difference to what the prefix holds.
    """
    intact = [
        path
        for path, each in brought.items()
        if not each.placed and _is_intact(each, prefix, hash_of)
    ]
    if not intact:
        return set()
    done = run(
        [prefix.python, "-I", "-S", "-B", _STALE],
        input=json.dumps(intact),
        limit=limit,
        cwd=prefix.path,
    )
    if done.returncode:
        raise ToolError(
            f"The bytecode of {prefix.path} cannot be read: {end_of(done.stderr.strip(), 5)}",
            "Run the same command again.",
        )
    return set(intact) - set(json.loads(done.stdout))


def _is_intact(each: ShippedBytecode, prefix: Prefix, hash_of: HashOf) -> bool:
    path = prefix.path / each.path
    return path.is_file() and (each.sha256 is None or hash_of(path) == each.sha256)


def _modules(
    prefix: Prefix, brought: Mapping[str, ShippedBytecode], kept: Collection[str]
) -> dict[int, list[list[str]]]:
    """Return by level the sources to compile, grouped by their package, and sorted."""
    due: dict[int, set[str]] = {level: set() for level in _LEVELS.values()}
    due[0].update(
        source
        for source in _sources(prefix)
        if bytecode_path(source, prefix.bytecode_tag) not in kept
    )
    for path, each in brought.items():
        if path not in kept:
            due[each.level].add(each.source)
    owner = _owner_of(prefix)
    return {level: _grouped(sources, owner) for level, sources in due.items()}


def _grouped(sources: Iterable[str], owner: Callable[[str], str]) -> list[list[str]]:
    groups: dict[str, list[str]] = {}
    for source in sources:
        groups.setdefault(owner(source), []).append(source)
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
            for name in names:
                # A package may bring a link that leads nowhere.
                if name.endswith(".py") and os.path.isfile(f"{directory}/{name}"):  # noqa: PTH113
                    yield f"{here}/{name}"


def _owner_of(prefix: Prefix) -> Callable[[str], str]:
    """Return what tells the package of a module; one of several packages, or none, is by itself.

    So is one that linking wrote the prefix into: all else is the same in every prefix.
    """
    owner_of: dict[str, str] = {}
    for path, content in prefix.conda_records():
        owner_of.update(dict.fromkeys(content.get("files", ()), path.name))
        entries = content.get("paths_data", {}).get("paths", ())
        owner_of |= {each["_path"]: each["_path"] for each in entries if _PLACED in each}
    owner_of |= _of_distributions(prefix)
    return lambda source: owner_of.get(source, source)


def _of_distributions(prefix: Prefix) -> dict[str, str]:
    site = os.path.relpath(prefix.site_packages, prefix.path)
    owner_of: dict[str, str] = {}
    for distribution in prefix.distributions():
        for file in distribution.files:
            if file.endswith(".py"):
                path = os.path.normpath(f"{site}/{file}")
                owner_of[path] = path if path in owner_of else distribution.name
    return owner_of


def _record(replaced: Iterable[ShippedBytecode], prefix: Prefix) -> None:
    """Let conda-meta have the hash of bytecode that took the place of conda's.

    `conda doctor` compares each file whose `sha256_in_prefix` is there (CEP 34's `paths_data`).
    """
    by_record: dict[Path, dict[str, str]] = {}
    for each in replaced:
        path = prefix.path / each.path
        if path.is_file():
            by_record.setdefault(each.record, {})[each.path] = sha256_of(path)
    for record, hashes in by_record.items():
        content = json.loads(read_stored_text(record))
        for entry in content.get("paths_data", {}).get("paths", ()):
            if entry["_path"] in hashes:
                entry["sha256_in_prefix"] = hashes[entry["_path"]]
        mode = record.stat().st_mode
        write_atomically(record, json.dumps(content, indent=2))
        record.chmod(mode)
