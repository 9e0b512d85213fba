"""The last ticks of the project's sensors, so that the same trouble is told once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import dagster as dg
from dagster._core.scheduler.instigation import (  # what `get_ticks` returns
    InstigatorState,
    InstigatorTick,
    TickStatus,
)

_NUMBER = re.compile(r"\d[\d.]*")


def not_told_before(
    lines: Iterable[str],
    sensor: str,
    others: Iterable[str],
    instance: dg.DagsterInstance,
    otherwise: tuple[float, str] = (0.0, ""),
) -> list[str]:
    """Return the lines that neither the sensor's last tick told nor another's since then.

    Numbers do not count, as those of time limits.

    Args:
        lines: what there is to tell.
        sensor: whose tick it is.
        others: the sensors that tell of the same trouble.
        instance: it has the ticks.
        otherwise: what was told by no tick, and when, in seconds since the epoch.
    """
    wanted = list(lines)
    if not wanted:
        return []
    own, before = _last_ended(sensor, instance), ""
    if own is not None:
        before = _text(own)
    if own is None or otherwise[0] >= own.timestamp:
        before += f"\n{otherwise[1]}"
    for each in others:
        tick = _last_ended(each, instance)
        if tick is not None and (own is None or tick.timestamp >= own.timestamp):
            before += f"\n{_text(tick)}"
    known = _NUMBER.sub("", before)
    return [each for each in wanted if _NUMBER.sub("", each) not in known]


def told_lately(sensors: Iterable[str], instance: dg.DagsterInstance) -> Iterator[str]:
    """Yield what the last tick of each of these sensors told."""
    for each in sensors:
        tick = _last_ended(each, instance)
        if tick is not None:
            yield _text(tick)


def _last_ended(sensor: str, instance: dg.DagsterInstance) -> InstigatorTick | None:
    """Return the last tick of a sensor that has ended."""
    ended = [TickStatus.SKIPPED, TickStatus.SUCCESS, TickStatus.FAILURE]
    found = [
        tick
        for state in states(instance)
        if state.name == sensor
        for tick in instance.get_ticks(
            state.instigator_origin_id, state.selector_id, limit=1, statuses=ended
        )
    ]
    return max(found, key=lambda each: each.timestamp, default=None)


def states(instance: dg.DagsterInstance) -> list[InstigatorState]:
    """Return what an instance knows of sensors and schedules; nothing where it keeps none."""
    return list(instance.all_instigator_state()) if instance.schedule_storage else []


def _text(tick: InstigatorTick) -> str:
    """Return what a tick said: why it failed, or why it asked for no run."""
    told, error = [tick.skip_reason or ""], tick.error
    while error is not None:
        told.append(error.message)
        error = error.cause
    return "\n".join(told)
