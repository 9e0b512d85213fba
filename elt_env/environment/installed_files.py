"""Compare the files that pip installed with their RECORD.

https://packaging.python.org/en/latest/specifications/recording-installed-packages/
"""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH113, PTH118
from __future__ import annotations

import ast
import base64
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from elt_env.environment.prefix import Distribution, Prefix
from elt_env.python.bytecode import is_cached
from elt_env.runtime.file_hashes import HashOf
from elt_env.runtime.files import sha256_of
from elt_env.runtime.input_files import read_stored

_EMPTY = base64.urlsafe_b64encode(hashlib.sha256(b"").digest()).rstrip(b"=").decode()
_HEX = re.compile(r"[0-9a-fA-F]{64}")
_FOR_PEOPLE = re.compile(
    r"(^|/)(tests?/.*|((LICEN[CS]E|README|CHANGELOG|CHANGES|NOTICE|AUTHORS)[^/]*)|[^/]+\.(md|rst))$",
    re.IGNORECASE,
)
_INIT = "__init__.py"
_LONGEST = 1024  # bytes of an __init__.py that declares a namespace and does no more
_Brought = list[tuple[Distribution, str | None]]


@dataclass(frozen=True)
class RecordedFile:
    """A file that one of pip's distributions brought, or several.

    Installers let several bring it with different content, and namespace packages of the old kind
    live with it. Which one stays rests on the order in which an installer happens to write, so a
    rule decides: that of the distribution whose name sorts first.

    Attributes:
        path: its place below the prefix.
        owners: the names of the distributions, sorted.
        winner: the first of them.
        wanted: the sha256 of the winner's content, as RECORD writes it.
        settled: whether it has that content.
        matters: whether content is lost that somebody may miss: not that of an empty file, of a
            text for people, of a test, or of another declaration of the same namespace.
    """

    path: str
    owners: tuple[str, ...]
    winner: str
    wanted: str
    settled: bool
    matters: bool = True

    def __str__(self) -> str:
        return f"{self.path} of {', '.join(self.owners)}: that of {self.winner} is there"


@dataclass(frozen=True)
class InstalledFiles:
    """How pip's files are, against what their distributions recorded.

    Attributes:
        changed: a line about each file that is gone, or is as no distribution brought it.
        shared: those that several distributions brought with different content.
    """

    changed: tuple[str, ...]
    shared: tuple[RecordedFile, ...]


def installed_files(prefix: Prefix) -> InstalledFiles:
    """Return how the files of pip's distributions are."""
    changed: list[str] = []
    shared: list[RecordedFile] = []
    for path, by in sorted(_brought(prefix).items()):
        names = ", ".join(f"{each.name} {each.version}" for each, _ in by)
        place = os.path.relpath(path, prefix.path)
        hashes = _hashes(by)
        found = _found(path) if hashes else None
        if not os.path.isfile(path):
            changed.append(f"{place} of {names} is gone")
        elif hashes and found not in hashes:
            changed.append(f"{place} of {names} was changed")
        elif len(hashes) > 1:
            shared.append(_without_namespaces(_judged(place, by, found), path, by))
    return InstalledFiles(tuple(changed), tuple(shared))


def recorded_files(prefix: Prefix, hash_of: HashOf = sha256_of) -> tuple[RecordedFile, ...]:
    """Return every file whose content a distribution of pip's recorded; each is read."""
    hashed = {path: by for path, by in _brought(prefix).items() if _hashes(by)}
    return tuple(
        _judged(os.path.relpath(path, prefix.path), by, _found(path, hash_of))
        for path, by in sorted(hashed.items())
    )


def _brought(prefix: Prefix) -> dict[str, _Brought]:
    mine = {each.name for each in prefix.lock.pip}
    brought: dict[str, _Brought] = {}
    for each in prefix.distributions():
        for path, wanted in _recorded(prefix.site_packages, each) if each.name in mine else ():
            brought.setdefault(path, []).append((each, wanted))
    return brought


def _hashes(by: _Brought) -> set[str]:
    return {each for _, each in by if each is not None}


def _found(path: str, hash_of: HashOf = sha256_of) -> str | None:
    return recorded_hash(path, hash_of) if os.path.isfile(path) else None


def _judged(place: str, by: _Brought, found: str | None) -> RecordedFile:
    recorded = sorted((each.name, wanted) for each, wanted in by if wanted is not None)
    winner, wanted = recorded[0]
    lost = {each for _, each in recorded} - {wanted, _EMPTY}
    return RecordedFile(
        place,
        tuple(name for name, _ in recorded),
        winner,
        wanted,
        settled=found == wanted,
        matters=bool(lost) and not _FOR_PEOPLE.search(place),
    )


def _without_namespaces(file: RecordedFile, path: str, by: _Brought) -> RecordedFile:
    """Let a file not matter that declares a namespace, as each that it replaced did by convention.

    https://packaging.python.org/en/latest/guides/packaging-namespace-packages/
    """
    is_one = file.matters and path.endswith(f"/{_INIT}") and declares_namespace(Path(path))
    sizes = (_size(owner, path) for owner, wanted in by if wanted is not None)
    return replace(file, matters=not all(each <= _LONGEST for each in sizes)) if is_one else file


def _size(owner: Distribution, path: str) -> int:
    """Return the size of a file in bytes, as RECORD has it; more than any where it has none."""
    site = os.fspath(owner.info.parent)
    sizes = (size for each, _, size in owner.rows if _joined(site, each) == path)
    return int(next(sizes, "") or _LONGEST + 1)


def declares_namespace(path: Path) -> bool:
    """Tell whether a module declares a namespace of the old kinds, and does nothing else."""
    try:
        tree = ast.parse(read_stored(path))
    except (SyntaxError, ValueError):
        return False
    text = ast.unparse(tree)
    declares = "extend_path(" in text or "declare_namespace(" in text
    return declares and all(map(_is_of_namespace, tree.body))


def _is_of_namespace(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Try):
        parts = [*statement.body, *(each for one in statement.handlers for each in one.body)]
        return all(map(_is_of_namespace, parts))
    if isinstance(statement, ast.Assign):
        return ast.unparse(statement).startswith("__path__ = ")
    if isinstance(statement, ast.Import | ast.ImportFrom):
        return (
            re.match(r"(from|import) (pkgutil|pkg_resources)\b", ast.unparse(statement)) is not None
        )
    if isinstance(statement, ast.Expr):
        is_text = isinstance(statement.value, ast.Constant)
        return is_text or "declare_namespace(" in ast.unparse(statement)
    return False


def _recorded(site: Path, owner: Distribution) -> Iterator[tuple[str, str | None]]:
    """Yield the files of a distribution and their sha256, where it is recorded.

    Bytecode is left out where it is derived from a module: it may be written anew.
    """
    for file, stated, _ in owner.rows:
        if not is_cached(file):
            yield _joined(os.fspath(site), file), recorded_sha256(stated)


def recorded_sha256(stated: str) -> str | None:
    """Return the sha256 of a row of RECORD, as in `sha256=…`, as it is to be written there.

    Some build backends write it in hex, or padded. None stands for no hash, or another one.
    """
    algorithm, _, value = stated.partition("=")
    if algorithm.lower() != "sha256" or not value:
        return None
    return as_recorded(value) if _HEX.fullmatch(value) else value.rstrip("=")


def _joined(site: str, path: str) -> str:
    return os.path.normpath(os.path.join(site, path))


def recorded_hash(path: str | Path, hash_of: HashOf = sha256_of) -> str:
    """Return the sha256 of a file's content as RECORD writes it."""
    return as_recorded(hash_of(path))


def as_recorded(sha256: str) -> str:
    """Return a sha256 in hex as RECORD writes it."""
    return base64.urlsafe_b64encode(bytes.fromhex(sha256)).rstrip(b"=").decode()
