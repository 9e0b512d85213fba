"""Waves of a rollout: which machines may take a release, and when the next ones may."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from elt_env.follow.reports import Report

ENOUGH = 0.9
"""The share of the machines of a wave that have to run a release well before the next one opens:
one of ten may be switched off."""

_HASHES = 16**16
Verdict = Literal["open", "wait", "stop", "done"]


@dataclass(frozen=True)
class Decision:
    """What comes next of a rollout.

    Attributes:
        verdict: `open` the next wave, `wait` for reports, `stop` and go back, or it is `done`.
        machines: how many machines may take the release by now.
        well: how many of these run it.
        failed: the reports of those on which it does not hold.
    """

    verdict: Verdict
    machines: int
    well: int
    failed: tuple[Report, ...]


def wave_of(machine: str, percents: Sequence[int]) -> int:
    """Return the number of the wave, from 0, that a machine belongs to by the hash that its id is.

    Args:
        machine: its id, 16 hex digits.
        percents: of the machines, those of each wave and of all before it; the last one is 100.
    """
    share = int(machine, 16) * 100
    return next(number for number, each in enumerate(percents) if share < each * _HASHES)


def within(machines: Iterable[str], percents: Sequence[int], wave: int) -> tuple[str, ...]:
    """Return the machines that may take a release of which that wave is the last open one."""
    return tuple(each for each in machines if wave_of(each, percents) <= wave)


def decide(
    percents: Sequence[int],
    wave: int,
    number: int,
    machines: Collection[str],
    reports: Collection[Report],
) -> Decision:
    """Return what comes next of a rollout.

    Args:
        percents: as in `wave_of`.
        wave: the number of the last wave that is open; as many as there are when all is done.
        number: of the release.
        machines: the ids of all machines that have ever reported.
        reports: what they reported last, at least those of the waves that are open.
    """
    may = {*within(machines, percents, wave)}
    about = [each for each in reports if each.number == number and each.machine in may]
    failed = tuple(each for each in about if each.state == "failed")
    well = sum(each.state == "runs" for each in about)
    verdict: Verdict = "wait"
    if wave >= len(percents):
        verdict = "done"
    elif failed:
        verdict = "stop"
    elif well >= math.ceil(ENOUGH * len(may)):
        verdict = "open"
    return Decision(verdict, len(may), well, failed)
