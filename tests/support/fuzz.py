"""Lock random worlds and hold the locks against all that is possible there.

Used as `python -m tests.support.fuzz --worlds 1000 --seed 1`.
"""

from __future__ import annotations

import argparse
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.support.locked_worlds import check_world
from tests.support.world_maker import WorldMaker
from tests.support.world_shrinker import shown, shrunk
from tests.support.worlds import World

_MEMORY = 8 << 30  # bytes of a process
_SECONDS = 240  # of one world, of which most take one


def faults_in(world: World, tools: Mapping[str, str]) -> list[str]:
    """Return what is wrong with what becomes of a world by the tools that a policy names."""
    signal.alarm(_SECONDS)
    with (
        tempfile.TemporaryDirectory(prefix="elt-env-world-") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            return check_world(world, Path(name), patch, **tools)
        except Exception:  # noqa: BLE001  # it is told, and the next world follows
            return [f"crash: {traceback.format_exc()}"]
        finally:
            signal.alarm(0)


def _limit() -> None:
    """Let a world that takes too much memory or time crash alone."""
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    signal.signal(signal.SIGALRM, _too_long)


def _too_long(_: int, __: object) -> None:
    raise TimeoutError(_SECONDS)


def report_on(seed: int, tools: Mapping[str, str]) -> tuple[int, str]:
    """Return a seed and what is wrong with its world, with the smallest that shows it; or ""."""
    world = WorldMaker(seed).make()
    find = partial(faults_in, tools=tools)
    faults = find(world)
    if not faults:
        return seed, ""
    small, still = shrunk(world, faults[0], find)
    return seed, f"seed {seed}: {faults[0]}\nsmallest:\n{shown(small)}\n{still}\n"


def _reports(seeds: list[int], jobs: int, tools: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    report = partial(report_on, tools=tools)
    if jobs == 1:
        _limit()
        yield from map(report, seeds)
        return
    with ProcessPoolExecutor(jobs, initializer=_limit) as pool:
        yield from pool.map(report, seeds)


def main() -> int:
    """Lock the worlds, tell of each that came out wrong, and return 1 where any did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int, nargs="*", help="these seeds alone")
    parser.add_argument("--resolver", default="uv", help="that of the environment")
    parser.add_argument("--conda", default="rattler", help="that of the environment")
    options = parser.parse_args()
    seeds = options.only or [*range(options.seed, options.seed + options.worlds)]
    sys.stdout.write(f"seeds {seeds[0]} to {seeds[-1]}\n")
    tools = {"resolver": options.resolver, "conda": options.conda}
    started = time.monotonic()
    wrong = 0
    for done, (_, report) in enumerate(_reports(seeds, options.jobs, tools), 1):
        if report:
            wrong += 1
            sys.stdout.write(report + "\n")
        if not done % 100:
            sys.stdout.write(f"{done} worlds, {wrong} of them wrong\n")
        sys.stdout.flush()
    minutes = (time.monotonic() - started) / 60
    sys.stdout.write(
        f"{len(seeds)} worlds, {wrong} of them wrong; {len(seeds) / minutes:.0f} a minute\n"
    )
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
