"""The standing of a target: its state in one look."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from elt_env.lock.diff_report import Waiting
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import digest_of, short
from elt_env.package.target import Target
from elt_env.release.record import Release
from elt_env.runtime.texts import first_of

_SHOWN = 3
_HEAD = (
    "target",
    "released",
    "age",
    "what waits, and why it does not come",
    "what failed last",
    "what to do",
)


@dataclass(frozen=True)
class Standing:
    """What is released of a target, and what is not.

    Attributes:
        lock: the current lock.
        release: the target's release; its lock may be another one.
        waits: why the current lock is not the release; "" when it is.
        remedy: what to do about that; "" for nothing.
        newer: releases that the cool-down holds back from the current lock.
        failed: what failed last and has not been mended since; "" for nothing.
    """

    target: Target
    lock: Lock | None = None
    release: Release | None = None
    waits: str = ""
    remedy: str = ""
    newer: tuple[Waiting, ...] = ()
    failed: str = ""

    @property
    def digest(self) -> str:
        """What changes when there is something new to be told; the passing of time is not."""
        return digest_of(
            {
                "target": self.target.name,
                "lock": self.lock.digest if self.lock else "",
                "release": [self.release.number, self.release.digest] if self.release else [],
                "told": [self.waits, self.remedy, self.failed],
                "newer": [[each.name, each.newer] for each in self.newer],
            }
        )

    def with_failure(self, failed: str) -> Standing:
        """Return the same with one more thing that failed; "" for nothing."""
        told = "\n".join(each for each in (self.failed, failed) if each)
        return replace(self, failed=told)

    def numbers(self, now: datetime) -> dict[str, float]:
        """Return what is worth a plot, by name; ages in days, a lag in days, a time in hours."""
        found: dict[str, float] = {}
        if self.lock:
            found["packages"] = float(len(self.lock.packages))
            released = [each.released_at for each in self.newer]
            found["lag_days"] = max((_days(now - each) for each in released), default=0.0)
        if self.release:
            found["release_age_days"] = _days(now - self.release.at)
            if self.lock and self.lock.digest == self.release.digest:
                hours = (self.release.at - self.lock.locked_at).total_seconds() / 3600
                found["hours_to_promote"] = round(max(hours, 0.0), 2)
        return found

    def row(self, now: datetime) -> tuple[str, ...]:
        """Return what is told in the columns of the table."""
        release = self.release
        newest = f"number {release.number}, `{short(release.digest)}`" if release else "nothing"
        return (
            f"**{self.target.name}**",
            newest,
            _age(now, release.at) if release else "",
            "<br>".join(each for each in (self.waits, _held(self.newer)) if each) or "nothing",
            self.failed or "nothing",
            self.remedy or "nothing",
        )


def to_markdown(standings: Iterable[Standing], now: datetime) -> str:
    """Return the table of all targets."""
    rows = [_HEAD, ("---",) * len(_HEAD), *(each.row(now) for each in standings)]
    return "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in rows)


def records_of(standings: Iterable[Standing], now: datetime) -> list[dict[str, str]]:
    """Return the same rows without Markdown, each by the names of its columns."""
    return [dict(zip(_HEAD, map(_plain, each.row(now)), strict=True)) for each in standings]


def _plain(text: str) -> str:
    return text.replace("**", "").replace("`", "").replace("<br>", "; ").replace("\n", "; ")


def _held(newer: tuple[Waiting, ...]) -> str:
    if not newer:
        return ""
    soonest = sorted(newer, key=lambda each: (each.eligible_at, each.name))
    listed = [f"{each.name} {each.newer} from {each.eligible_at:%Y-%m-%d}" for each in soonest]
    return f"in cool-down: {first_of(listed, _SHOWN)}"


def _age(now: datetime, moment: datetime) -> str:
    hours = max(int((now - moment).total_seconds() // 3600), 0)
    return f"{hours // 24} days" if hours >= 48 else f"{hours} hours"  # noqa: PLR2004  # two days


def _days(span: timedelta) -> float:
    return round(max(span.total_seconds(), 0.0) / 86400, 2)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", "<br>")
