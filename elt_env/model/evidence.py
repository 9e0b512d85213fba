"""Evidence: the recorded results of the checks on one lock digest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

Status = Literal["passed", "failed", "warned", "not_run"]


@dataclass(frozen=True)
class Evidence:
    """The result of one check on one lock digest.

    Attributes:
        check: the check's name, as in `pip_check`.
        at: when it ended, UTC.
        seconds: how long it took.
        detail: what it saw, for a person; the culprit first.
        log: the place of the full log in the store, or "".
    """

    check: str
    status: Status
    at: datetime
    seconds: float
    detail: str
    log: str = ""

    @property
    def failed(self) -> bool:
        """Whether the check says that the environment does not work."""
        return self.status == "failed"

    @property
    def holds(self) -> bool:
        """Whether the check says that the environment works; `not_run` never does."""
        return self.status in ("passed", "warned")
