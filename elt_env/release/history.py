"""The history of a target's releases, for a person and for a program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from elt_env.lockfile.changes import Change, count
from elt_env.package.canonical import short
from elt_env.release.record import Release


@dataclass(frozen=True)
class Entry:
    """One release, and what it changed.

    Attributes:
        before: the release that it took the place of; None for the first.
        changes: what differs from the lock of that one; None where a lock cannot be read any more.
    """

    release: Release
    before: Release | None
    changes: tuple[Change, ...] | None

    def to_json(self) -> dict[str, Any]:
        """Return the entry as a JSON object whose keys are stable."""
        release = self.release
        kinds = None if self.changes is None else Counter(each.kind for each in self.changes)
        return {
            "number": release.number,
            "action": release.action,
            "digest": release.digest,
            "image": release.image,
            "at": release.at.isoformat(),
            "trigger": release.trigger,
            "by": release.by,
            "previous": self.before.digest if self.before else None,
            "changes": None if kinds is None else dict(sorted(kinds.items())),
            "evidence": dict(release.evidence),
        }

    @property
    def difference(self) -> str:
        """What it changed, in numbers."""
        if self.before is None:
            return "the first release"
        if self.changes is None:
            return "unknown: a lock cannot be read any more"
        return count(self.changes) if self.changes else "nothing: the same lock"

    @property
    def proof(self) -> str:
        """What its required checks had said, in numbers; what did not pass by name."""
        statuses = Counter(self.release.evidence.values())
        numbers = ", ".join(f"{number} {status}" for status, number in sorted(statuses.items()))
        others = [name for name, status in self.release.evidence.items() if status != "passed"]
        return f"{numbers or 'no check'}{': ' if others else ''}{', '.join(others)}"

    def to_lines(self) -> list[str]:
        """Return the entry for a person."""
        release, before = self.release, self.before
        moment = f"{release.at:%Y-%m-%d %H:%M} UTC"
        lines = [
            f"{release.number:>4}  {moment}  {release.action:<11}  {release.digest}",
            f"      why      {release.trigger}",
            f"      by       {release.by}",
            f"      changes  {self.difference}",
        ]
        if self.changes and before:
            ends = f"{short(before.digest)} {short(release.digest)}"
            lines.append(f"               all of them: elt-env diff {ends}")
        lines.append(f"      proven   {self.proof}")
        lines.append(f"      image    {release.image or 'none'}")
        return lines


def log_text(name: str, entries: Iterable[Entry]) -> str:
    """Return a target's history, the current release last."""
    lines = [line for each in entries for line in each.to_lines()]
    return "\n".join(lines or [f"{name} has no release yet"])
