"""Lock random worlds and hold the locks against all that is possible there.

Used as `python -m tests.support.fuzz --worlds 1000 --seed 1`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import traceback
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from tests.support.locked_worlds import check_world


def faults_of(seed: int) -> tuple[int, list[str]]:
    """Return a seed and what is wrong with the lock of its world."""
    with (
        tempfile.TemporaryDirectory(prefix="elt-env-world-") as name,
        pytest.MonkeyPatch.context() as patch,
    ):
        try:
            return seed, check_world(seed, Path(name), patch)
        except Exception:  # noqa: BLE001  # it is told, and the next world follows
            return seed, [f"crash: {traceback.format_exc()}"]


def main() -> int:
    """Lock the worlds, tell of each that came out wrong, and return 1 where any did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worlds", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--only", type=int, nargs="*", help="these seeds alone")
    options = parser.parse_args()
    sys.stdout.write(f"seeds {options.seed} to {options.seed + options.worlds - 1}\n")
    wrong = 0
    with ProcessPoolExecutor(options.jobs) as pool:
        seeds = options.only or range(options.seed, options.seed + options.worlds)
        for seed, faults in pool.map(faults_of, seeds):
            for each in faults:
                wrong += 1
                sys.stdout.write(f"seed {seed}: {each}\n")
                sys.stdout.flush()
    sys.stdout.write(f"{options.worlds} worlds, {wrong} faults\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
