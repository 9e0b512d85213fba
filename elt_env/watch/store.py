"""Stored readiness of Python versions: `readiness/<environment>/<python>.json`."""

from __future__ import annotations

from pydantic import TypeAdapter

from elt_env.store.documents import Documents, read_record, record_names, write_record
from elt_env.watch.readiness import Readiness, in_order

_FOLDER = "readiness"
_readiness: TypeAdapter[Readiness] = TypeAdapter(Readiness)


class ReadinessStore:
    """The last record of each environment and Python."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def pythons(self, environment: str) -> tuple[str, ...]:
        """Return the minors of which there is a record, oldest first."""
        names = record_names(self._documents, f"{_FOLDER}/{environment}")
        return in_order({each for each in names if each.startswith("3.")})

    def read(self, environment: str, python: str) -> Readiness | None:
        """Return the record; None when there is none.

        Raises:
            IntegrityError: it cannot be read.
        """
        return read_record(
            self._documents,
            _key(environment, python),
            _readiness,
            "The readiness record {} cannot be read.",
            f"Remove that file and look again: elt-env readiness {environment}",
        )

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
        key = _key(readiness.environment, readiness.python)
        write_record(self._documents, key, _readiness, readiness)


def _key(environment: str, python: str) -> str:
    return f"{_FOLDER}/{environment}/{python}.json"
