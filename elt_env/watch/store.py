"""Stored readiness of Python versions: `readiness/<environment>/<python>.json`."""

from __future__ import annotations

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored
from elt_env.watch.readiness import Readiness, in_order

_readiness: TypeAdapter[Readiness] = TypeAdapter(Readiness)


class ReadinessStore:
    """The last record of each environment and Python."""

    def __init__(self, home: Path) -> None:
        self._root = home / "readiness"

    def pythons(self, environment: str) -> tuple[str, ...]:
        """Return the minors of which there is a record, oldest first."""
        return in_order({each.stem for each in (self._root / environment).glob("3.*.json")})

    def read(self, environment: str, python: str) -> Readiness | None:
        """Return the record; None when there is none.

        Raises:
            IntegrityError: it cannot be read.
        """
        path = self._path(environment, python)
        try:
            return _readiness.validate_json(read_stored(path))
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise IntegrityError(
                f"The readiness record {path} cannot be read.",
                f"Remove that file and look again: elt-env readiness {environment}",
            ) from error

    def all(self, environment: str) -> tuple[Readiness, ...]:
        """Return every record of an environment, the oldest Python first.

        Raises:
            IntegrityError: one cannot be read.
        """
        found = (self.read(environment, each) for each in self.pythons(environment))
        return tuple(each for each in found if each is not None)

    def write(self, readiness: Readiness) -> None:
        """Keep a record in place of the one before.

        Raises:
            StorageError: the store is full or not writable.
        """
        path = self._path(readiness.environment, readiness.python)
        write_atomically(path, _readiness.dump_json(readiness, indent=1) + b"\n")

    def _path(self, environment: str, python: str) -> Path:
        return self._root / environment / f"{python}.json"
