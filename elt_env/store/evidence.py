"""Evidence: the recorded results of the checks on one lock digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Status = Literal["passed", "failed", "warned", "not_run"]
Cell = str | int | float

PREFIX = "the prefix"
"""The name of the input that is what the prefix held when it was sealed."""

PLACE = "the place"
"""The name of the input that is where the prefix lies, in a store that several machines share."""

_MOST_ROWS = 500
_WIDEST = 500


@dataclass(frozen=True)
class Table:
    """What a check saw, row by row; small enough to be shown as a whole.

    Attributes:
        name: what its rows are, as in `node_results`; no count has that name.
        columns: their names.
        rows: a cell for every column, what matters most first.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    @classmethod
    def cut(cls, name: str, columns: tuple[str, ...], rows: tuple[tuple[Cell, ...], ...]) -> Table:
        """Return a table of the first 500 rows, with no text longer than 500 characters."""
        kept = rows[:_MOST_ROWS]
        return cls(name, columns, tuple(tuple(_cut(cell) for cell in row) for row in kept))


def _cut(cell: Cell) -> Cell:
    return cell[: _WIDEST - 1] + "…" if isinstance(cell, str) and len(cell) > _WIDEST else cell


@dataclass(frozen=True)
class Evidence:
    """The result of one check on one lock digest.

    Attributes:
        check: the check's name, as in `pip_check`.
        at: when it ended, UTC.
        seconds: how long it took.
        detail: what it saw, for a person; the culprit first.
        log: the place of the full log in the store, or "".
        counts: what it counted, by name, as in `loaded_rows`.
        table: what it saw row by row, if that is worth a table.
        image: digest of the image it is about; None when it is about the prefix.
        inputs: what the check read beside the prefix or the image, each by its name with its
            digest or value, as in `project dbt_project`; empty in a record that does not say so.
        doubt: why the record of it does not count, where it is not as it was written; "" else.
    """

    check: str
    status: Status
    at: datetime
    seconds: float
    detail: str
    log: str = ""
    counts: Mapping[str, int] = field(default_factory=dict, hash=False)
    table: Table | None = None
    image: str | None = None
    inputs: Mapping[str, str] = field(default_factory=dict, hash=False)
    doubt: str = ""

    @property
    def failed(self) -> bool:
        """Whether the check says that the environment does not work."""
        return self.status == "failed"

    @property
    def holds(self) -> bool:
        """Whether the check says that the environment works; `not_run` never does."""
        return self.status in ("passed", "warned")

    def changed_inputs(self, now: Mapping[str, str]) -> tuple[str, ...]:
        """Return the names of the inputs that are not what they were, sorted.

        Where there are any, the evidence says nothing about today. A record that does not say what
        the check read is one of a check that has changed. A prefix that is not there now is not
        compared; whoever needs it finds it missing, and once it is built it is compared. So it is
        with one at another place, since prefixes name their place: what a lock was proven with on
        one machine holds on others of its class.
        """
        if not self.inputs:
            return ("the check",) if now else ()
        names = (self.inputs.keys() | now.keys()) - {PLACE}
        if PREFIX not in now or self.inputs.get(PLACE) != now.get(PLACE):
            names -= {PREFIX}
        return tuple(sorted(name for name in names if self.inputs.get(name) != now.get(name)))
