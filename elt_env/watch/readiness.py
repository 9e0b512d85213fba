"""Readiness: whether an environment can be had on a Python, and what stands in its way."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from elt_env.watch.newer_pythons import end_of_life

Verdict = Literal["ready", "not ready", "unknown"]
Reached = Literal["locked", "installed", "proven"]
Kind = Literal[
    "pin",
    "declared bound",
    "missing wheel",
    "missing conda build",
    "import failure",
    "check failed",
    "interpreter missing",
]


@dataclass(frozen=True)
class Blocker:
    """One thing that stands in the way.

    Attributes:
        chain: from what a person requested to the culprit, as in
            `("dagster-dbt 0.29.27", "dbt-core 1.11.16", "mashumaro <3.15")`.
        text: what is wrong there, for a person; one or more lines.
    """

    kind: Kind
    chain: tuple[str, ...]
    text: str

    @property
    def identity(self) -> tuple[str, ...]:
        """What makes it the same blocker in another look: its kind and names, not versions."""
        return (self.kind, *(each.split()[0] for each in self.chain))

    def __str__(self) -> str:
        return f"{self.kind}: {' → '.join(self.chain)}"


@dataclass(frozen=True)
class Look:
    """What one look at a Python saw.

    Attributes:
        reached: the last step that succeeded; None when not even a lock was made.
        lock: digest of the lock that was made or found.
        python_version: the full version of the lock's Python.
        doubt: why the look could not come to a verdict, or "".
    """

    reached: Reached | None = None
    blocked_by: tuple[Blocker, ...] = ()
    lock: str | None = None
    python_version: str | None = None
    doubt: str = ""

    @property
    def verdict(self) -> Verdict:
        """The verdict. That this machine lacks an interpreter says nothing of the environment."""
        if any(each.kind != "interpreter missing" for each in self.blocked_by):
            return "not ready"
        return "ready" if self.reached == "proven" and not self.doubt else "unknown"


@dataclass(frozen=True)
class Readiness:
    """What is known about an environment on a Python.

    Attributes:
        python: the minor, as in `3.13`.
        reached: how far it came; None when not even a lock was made.
        since: since when the verdict has been so, for these blockers, UTC.
        at: the last look, UTC.
        lock: digest of the lock that was looked at.
        doubt: why the last look could not come to a verdict, or ""; the one before then stands.
    """

    environment: str
    python: str
    verdict: Verdict
    reached: Reached | None
    blocked_by: tuple[Blocker, ...]
    since: datetime
    at: datetime
    lock: str | None = None
    python_version: str | None = None
    doubt: str = ""

    @property
    def name(self) -> str:
        """The target's name, as in `elt@3.13`."""
        return f"{self.environment}@{self.python}"

    def to_json(self) -> dict[str, Any]:
        """Return it as a stable JSON object."""
        end = end_of_life(self.python)
        return {
            "target": self.name,
            "python": self.python,
            "python_version": self.python_version,
            "verdict": self.verdict,
            "reached": self.reached,
            "blocked_by": [
                {"kind": each.kind, "chain": list(each.chain), "text": each.text}
                for each in self.blocked_by
            ],
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
            "lock": self.lock,
            "doubt": self.doubt,
            "end_of_life": end.isoformat() if end else None,
        }


def judge(
    before: Readiness | None, environment: str, python: str, look: Look, at: datetime
) -> Readiness:
    """Return what is known after a look at moment `at`.

    A look without a verdict leaves an earlier verdict as it was. `since` stays while verdict and
    blockers, whatever their versions, are the same.
    """
    if look.verdict == "unknown" and before is not None and before.verdict != "unknown":
        return replace(before, at=at, doubt=_doubt(look))
    now = Readiness(
        environment=environment,
        python=python,
        verdict=look.verdict,
        reached=look.reached,
        blocked_by=look.blocked_by,
        since=at,
        at=at,
        lock=look.lock,
        python_version=look.python_version,
        doubt=look.doubt,
    )
    if before is not None and _gist(before) == _gist(now):
        return replace(now, since=before.since)
    return now


def _doubt(look: Look) -> str:
    return look.doubt or "\n".join(each.text for each in look.blocked_by)


def _gist(readiness: Readiness) -> tuple[Verdict, frozenset[tuple[str, ...]]]:
    return readiness.verdict, frozenset(each.identity for each in readiness.blocked_by)


def in_order(pythons: set[str]) -> tuple[str, ...]:
    """Return Python minors from the oldest to the newest."""
    return tuple(sorted(pythons, key=lambda each: int(each.partition(".")[2])))
