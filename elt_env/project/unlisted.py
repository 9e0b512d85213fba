"""Environments that no policy lists: specs that a person named by their path, remembered.

Each is one small file below the store, `unlisted/<name>.json`, so that commands know them by name
afterwards.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from elt_env.project.policy import EnvironmentPolicy, PythonSource
from elt_env.store.documents import Documents, read_record, record_names, write_record

_FOLDER, _IGNORED = "unlisted", ".gitignore"


@dataclass(frozen=True)
class _Record:
    spec: str
    pythons: tuple[str, ...]
    python: PythonSource = "conda"


_record: TypeAdapter[_Record] = TypeAdapter(_Record)
_policy: TypeAdapter[EnvironmentPolicy] = TypeAdapter(EnvironmentPolicy)


def read_unlisted(documents: Documents) -> dict[str, EnvironmentPolicy]:
    """Return what a store remembers, by name; nothing where there is no store.

    Raises:
        IntegrityError: a record cannot be read.
    """
    found = {name: _read(documents, name) for name in record_names(documents, _FOLDER)}
    return {name: each for name, each in found.items() if each}


def remember(documents: Documents, name: str, policy: EnvironmentPolicy) -> None:
    """Remember an environment under its name: its spec, its Pythons and where these come from.

    Args:
        documents: the store.
        name: of the environment.
        policy: its spec is a path as `relative_spec` gives it.

    Raises:
        StorageError: the store cannot be written.
    """
    write_record(
        documents,
        _key(name),
        _record,
        _Record(policy.spec, policy.pythons, policy.python or "conda"),
    )
    try:
        documents.read(_IGNORED)
    except FileNotFoundError:
        documents.write(_IGNORED, "*\n")


def record_place(documents: Documents, name: str) -> str:
    """Return where a store remembers the environment of that name, for a person."""
    return documents.place(_key(name))


def remembers(documents: Documents) -> bool:
    """Tell whether a store remembers any environment."""
    return bool(documents.names(_FOLDER))


def relative_spec(spec: Path, root: Path) -> str:
    """Return the path of a spec as a policy has it: relative to the project where it is in it.

    Both can then be moved together.
    """
    path = Path(os.path.normpath(spec.absolute()))
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _key(name: str) -> str:
    return f"{_FOLDER}/{name}.json"


def _read(documents: Documents, name: str) -> EnvironmentPolicy | None:
    return read_record(
        documents,
        _key(name),
        _policy,
        "The record of an environment {} cannot be read.",
        "Remove it, and name the file of the spec again: elt-env build FILE",
    )
