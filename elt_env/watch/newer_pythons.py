"""Watch Pythons: which of those on offer are newer than what is locked, or new altogether."""

from __future__ import annotations

import calendar
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

from packaging.version import InvalidVersion, Version

from elt_env.lock.releases import News
from elt_env.package.cooldown import is_too_young
from elt_env.spec.conda_bounds import to_pep440

Outlook = Literal["maintained", "in sight", "reached"]

_IN_SIGHT = timedelta(days=365)
_OLDEST_BY_RULE = 8
_MONTH = 10
_YEAR_OF_ZERO = 2016


def end_of_life(minor: str) -> date | None:
    """Return the last day of the month in which a Python minor gets its last fixes.

    Five years after its release, in October: PEP 569 (3.8), 596 (3.9), 619 (3.10), 664 (3.11),
    693 (3.12), 719 (3.13), 745 (3.14), 790 (3.15), and PEP 602 for those to come.

    Args:
        minor: as in `3.11`.

    Returns:
        None for what is older than that rule.
    """
    number = int(minor.partition(".")[2])
    if number < _OLDEST_BY_RULE:
        return None
    year = _YEAR_OF_ZERO + number
    return date(year, _MONTH, calendar.monthrange(year, _MONTH)[1])


def outlook(minor: str, today: date) -> Outlook:
    """Tell whether a Python minor's end of life has been reached, or is at most a year away."""
    end = end_of_life(minor)
    if end is None or today > end:
        return "reached"
    return "in sight" if end - today <= _IN_SIGHT else "maintained"


def end_of_life_text(minor: str, today: date) -> str:
    """Return the month of a Python minor's end of life, as in `2027-10, in sight`."""
    end = end_of_life(minor)
    month = f"{end:%Y-%m}" if end else "before 2024"
    state = outlook(minor, today)
    return month if state == "maintained" else f"{month}, {state}"


@dataclass(frozen=True)
class Offered:
    """A Python that can be had.

    Attributes:
        version: in full, as in `3.11.7`.
        released_at: when it came out, UTC; None where nobody tells.
    """

    version: str
    released_at: datetime | None


@dataclass(frozen=True)
class PythonRules:
    """What a Python must fulfil.

    Attributes:
        bound: the spec's version bound on Python, as conda writes it, or "".
        now: the moment of the look, UTC.
        cooldown: how old it must be; 0 for none, and where it is exempt.
        undated: what the cool-down makes of one without a date.
    """

    bound: str
    now: datetime
    cooldown: timedelta
    undated: Literal["hold", "take"]


def new_patches(locked: str, offered: Iterable[Offered], rules: PythonRules) -> tuple[News, ...]:
    """Return the patch releases of the locked Python's minor that are newer, newest first."""
    now = Version(locked)
    return tuple(
        _judged(locked, version, each, rules)
        for version, each in _sorted(offered)
        if version.release[:2] == now.release[:2] and version > now
    )


def new_minors(
    tracked: Iterable[str], offered: Iterable[Offered], rules: PythonRules
) -> tuple[News, ...]:
    """Return the newest release of each minor after the tracked ones, oldest minor first.

    Where a minor has releases that count, that is the newest of these.
    """
    last = max(tracked, key=Version)
    found: dict[tuple[int, ...], News] = {}
    for version, each in _sorted(offered):
        minor = version.release[:2]
        if minor > Version(last).release:
            judged = _judged(last, version, each, rules)
            known = found.setdefault(minor, judged)
            if judged.usable and not known.usable:
                found[minor] = judged
    return tuple(found[minor] for minor in sorted(found))


def _sorted(offered: Iterable[Offered]) -> list[tuple[Version, Offered]]:
    """Return what is offered by version, the newest first; builds of a version are one."""
    found: dict[Version, Offered] = {}
    for each in offered:
        try:
            version = Version(each.version)
        except InvalidVersion:
            continue
        known = found.setdefault(version, each)
        if each.released_at and (not known.released_at or each.released_at < known.released_at):
            found[version] = each
    return sorted(found.items(), reverse=True)


def _judged(locked: str, version: Version, offer: Offered, rules: PythonRules) -> News:
    reason, eligible_at = _verdict(version, offer, rules)
    return News(
        name="python",
        locked=locked,
        version=offer.version,
        released_at=offer.released_at,
        usable=not reason,
        reason=reason and f"{offer.version} {reason}",
        eligible_at=eligible_at,
    )


def _verdict(version: Version, offer: Offered, rules: PythonRules) -> tuple[str, datetime | None]:
    """Return what stops a Python, "" when nothing does, and when the cool-down lets it through."""
    if version.is_prerelease:
        return "is a pre-release", None
    bound = to_pep440(rules.bound)
    if bound is not None and not bound.contains(version):
        return f"is outside the spec's python {rules.bound}", None
    if not rules.cooldown:
        return "", None
    if offer.released_at is None:
        return "has no date, and the policy holds such (undated-releases)" * (
            rules.undated == "hold"
        ), None
    eligible_at = offer.released_at + rules.cooldown
    if not is_too_young(offer.released_at, rules.now - rules.cooldown):
        return "", None
    return f"is younger than the cool-down, until {eligible_at:%Y-%m-%d %H:%M} UTC", eligible_at
