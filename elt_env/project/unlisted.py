"""Environments that no policy lists: specs that a person named by their path, remembered.

Each is one small file below the store, `unlisted/<name>.json`, so that commands know them by name
afterwards.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.project.policy import EnvironmentPolicy
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored

_DIRECTORY = "unlisted"


@dataclass(frozen=True)
class _Record:
    spec: str
    pythons: tuple[str, ...]


_record: TypeAdapter[_Record] = TypeAdapter(_Record)


def read_unlisted(home: Path) -> dict[str, EnvironmentPolicy]:
    """Return what a store remembers, by name; nothing where there is no store.

    Raises:
        IntegrityError: a record cannot be read.
    """
    return {each.stem: _read(each) for each in sorted((home / _DIRECTORY).glob("*.json"))}


def remember(home: Path, name: str, spec: str, pythons: tuple[str, ...]) -> None:
    """Remember an environment under its name.

    Args:
        home: the store.
        name: of the environment.
        spec: path of its file, as `relative_spec` gives it.
        pythons: its Python minors, the default first.

    Raises:
        StorageError: the store cannot be written.
    """
    record = _Record(spec, pythons)
    write_atomically(record_path(home, name), _record.dump_json(record) + b"\n")
    ignore = home / ".gitignore"
    if not ignore.exists():
        write_atomically(ignore, "*\n")


def record_path(home: Path, name: str) -> Path:
    """Return the file in which a store remembers the environment of that name."""
    return home / _DIRECTORY / f"{name}.json"


def remembers(home: Path) -> bool:
    """Tell whether a store remembers any environment."""
    return (home / _DIRECTORY).is_dir()


def relative_spec(spec: Path, root: Path) -> str:
    """Return the path of a spec as a policy has it: relative to the project where it is in it.

    Both can then be moved together.
    """
    path = Path(os.path.normpath(spec.absolute()))
    return str(path.relative_to(root) if path.is_relative_to(root) else path)


def _read(path: Path) -> EnvironmentPolicy:
    try:
        record = _record.validate_json(read_stored(path))
        values: Mapping[str, object] = {"spec": record.spec, "pythons": record.pythons}
        return EnvironmentPolicy.model_validate(values)
    except (OSError, ValidationError) as error:
        raise IntegrityError(
            f"The record of an environment {path} cannot be read.",
            "Remove it, and name the file of the spec again: elt-env build FILE",
        ) from error
