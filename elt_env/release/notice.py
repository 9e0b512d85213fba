"""A notice: what came of an attempt to keep a target fresh, as it is told to others."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from elt_env.package.target import Target

Outcome = Literal["relocked", "failed", "promoted", "blocked"]

_SAID: dict[Outcome, str] = {
    "relocked": "has a new lock",
    "failed": "did not pass its checks",
    "promoted": "has a new release",
    "blocked": "is blocked",
}


@dataclass(frozen=True)
class Notice:
    """One outcome for one target.

    Attributes:
        outcome: `relocked` and `promoted` when it was so, `failed` when a check failed, `blocked`
            when something else kept it from going on.
        detail: what came of it or why, for a person.
        digest: of the lock that it is about; None where there is none yet.
        trigger: why it was tried, or "".
        run: id of the Dagster run, or "".
        at: when, UTC.
    """

    outcome: Outcome
    target: Target
    detail: str
    digest: str | None
    trigger: str
    run: str
    at: datetime

    @property
    def text(self) -> str:
        """The notice for a person; `text` is what chat services look for in a message."""
        because = f" ({self.trigger})" if self.trigger else ""
        return f"{self.target.name} {_SAID[self.outcome]}{because}: {self.detail}"

    def to_json(self) -> dict[str, Any]:
        """Return the notice as the JSON object that is posted; its keys are stable."""
        return {
            "text": self.text,
            "outcome": self.outcome,
            "target": self.target.name,
            "platform": self.target.platform,
            "digest": self.digest,
            "trigger": self.trigger,
            "detail": self.detail,
            "run": self.run,
            "at": self.at.isoformat(),
        }
