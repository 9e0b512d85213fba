"""The output of a step, kept for the next one, which another worker may run.

The digest of a lock is a document of the store, so every machine finds it. All else names files of
the machine that made it, and is kept there; where it is not found, the step is done again.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from elt_env.defs.resources import Work
from elt_env.store.documents import Documents, write_record
from elt_env.store.local import LocalDocuments

_T = TypeVar("_T")


@dataclass(frozen=True)
class _Output(Generic[_T]):
    """What a step has made in a run; runs that go on with one another count as the first."""

    run: str
    value: _T


@dataclass(frozen=True)
class StepOutput(Generic[_T]):
    """The last output of a step for each target; the next run writes over it.

    Attributes:
        step: its name.
        kind: of what it makes.
    """

    step: str
    kind: type[_T]

    def keep(self, at: Work, value: _T) -> None:
        """Keep what the step has made in this run.

        Raises:
            StorageError: the store is full or not writable.
        """
        output = _Output(_first_run(at), value)
        write_record(self._documents(at), self._key(at), self._record, output)

    def find(self, at: Work) -> _T | None:
        """Return what the step has made in this run; None where this machine has no such thing."""
        with contextlib.suppress(FileNotFoundError, OSError, ValidationError):
            found = self._record.validate_json(self._documents(at).read(self._key(at)))
            return found.value if found.run == _first_run(at) else None
        return None

    @property
    def _record(self) -> TypeAdapter[_Output[_T]]:
        return TypeAdapter(_Output[self.kind])  # type: ignore[name-defined]  # known when it runs

    def _documents(self, at: Work) -> Documents:
        store = at.tools.store
        return store.documents if self.kind is str else LocalDocuments(store.local_home)

    def _key(self, at: Work) -> str:
        return f"steps/{at.target.name}/{self.step}.json"


def _first_run(at: Work) -> str:
    return at.run.root_run_id or at.run_id
