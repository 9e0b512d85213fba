"""All that has a budget, measured in one run beside its peers: a table, JSON and plots.

    python -m benchmarks.run [PROJECT] [--target elt@3.11] [--rounds 5] [--only build] [--json FILE]

What is compared takes turns on the same inputs, and is told by its median and its spread. A budget
is a ratio to something else of the run, or seconds beyond it. Peers that are not here are named.
It measures what is built and released: run `make run` first.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.groups import GROUPS, Group
from benchmarks.plots import bars
from benchmarks.side_by_side import Result, extent, measure
from benchmarks.subject import built, positive, print_line
from elt_env.errors import EltEnvError
from elt_env.machine.process import Say
from elt_env.runtime.files import write_atomically

Unit = Literal["cpu", "wall", "size"]


@dataclass(frozen=True)
class Budget:
    """What may be taken.

    Attributes:
        what: the row of the table of budgets.
        of: the contenders whose medians are added up.
        most: how many times the floor's median; without a floor, or `beyond` it, how much.
        floor: what it is compared with, added up as well.
        unit: seconds of the processor, of the clock, or bytes.
    """

    what: str
    of: tuple[str, ...]
    most: float
    floor: tuple[str, ...] = ()
    unit: Unit = "cpu"
    beyond: bool = False

    def figure(self, results: Mapping[str, Result]) -> float | None:
        """Return what was measured, in the unit of `most`; None where something of it was not."""
        if not results.keys() >= {*self.of, *self.floor}:
            return None
        taken, floor = (
            sum(results[each].median(self.unit) for each in names)
            for names in (self.of, self.floor)
        )
        return taken / floor if self.floor and not self.beyond else taken - floor

    def told(self, figure: float | None) -> str:
        """Return the figure and the budget in a line."""
        if figure is None:
            return f"{'not measured':<12} {self.what}"
        state = "ok" if figure <= self.most else "FALLS SHORT"
        floor = " and ".join(self.floor)
        relation = f" {'beyond' if self.beyond else 'times'} {floor}" if floor else ""
        return f"{state:<12} {self.what}: {figure:,.2f} of {self.most:,.2f} {self.unit}{relation}"


def _times(what: str, of: str, most: float, floor: str, *units: Unit) -> tuple[Budget, ...]:
    return tuple(Budget(what, (of,), most, (floor,), each) for each in units or ("wall",))


def _beyond(of: str, most: float, *floor: str) -> Budget:
    return Budget(of, (of,), most, floor, "wall", beyond=True)


_LOCKED = ("joint lock", "lock, all may be upgraded")
_READ = "read and sha256 every file"
_CHECKS = ("checks of a prefix", "checks of an image")
BUDGETS = (
    *_times(*_LOCKED, 0.5, "uv pip compile", "wall"),
    *_times(*_LOCKED, 2.0, "uv pip compile", "cpu"),
    Budget("unchanged lock", ("lock, unchanged",), 0.3, unit="wall"),
    *_times("build, warm caches", "prefix, warm caches", 3.0, "cp -al"),
    *_times("build, one package changed", "prefix, one changed", 4.0, "cp -al"),
    *_times("build, cold caches", "prefix, cold caches", 1.2, "uv pip install, cold caches"),
    *_times("tenth nearly equal environment", "tenth prefix", 0.05, "prefix", "size"),
    *_times("image, anew", "image, anew", 1.8, _READ),
    *_times("image, one changed", "image, one changed", 0.3, _READ),
    *_times("image, nothing changed", "image, nothing changed", 0.1, _READ),
    # Half of what it was when this was written, 41 and 27 s, in the time to import dagster then.
    *_times("all checks on a prefix", _CHECKS[0], 29, "import dagster"),
    *_times("all checks on an image", _CHECKS[1], 19, "import dagster"),
    _beyond("release by the daemon", 30, *_CHECKS),
    _beyond("elt_build, nothing new", 0.7, "a Dagster job of nothing"),
    _beyond("elt-env --help", 0.15, "python"),
    _beyond("elt-env show", 0.3, "python"),
    _beyond("elt-env run -- true", 0.2, "python"),
    _beyond("100 starts of the launcher", 0.3, "100 starts of the tool"),
    _beyond("load the definitions", 0.4, "import dagster"),
    *_times("100 environments", "definitions of 100", 2.0, "definitions of 1"),
    Budget("sensor, 1,000 packages, nothing new", ("sensor",), 3.0, unit="wall"),
    Budget("sensor, bytes received", ("sensor",), 1e6, unit="size"),
    *_times("show of 5,000 releases", "show, 5,000 releases", 1.5, "show, 1 release"),
    *_times("warehouse, one more release", "one more of 5,000", 0.2, "loading 5,000 releases"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code; with --check it is 1 where a budget is not met."""
    options = _options(arguments)
    try:
        prefix, tools = built(options.project, options.target)
        with ExitStack() as stack:
            place = tempfile.TemporaryDirectory(dir=tools.store.local_home, prefix=".bench-")
            scratch = Path(stack.enter_context(place))
            groups = {n: GROUPS[n](prefix, tools, scratch, stack) for n in options.only or GROUPS}
            report = measure_all(groups, BUDGETS, options.rounds, scratch, print_line)
    except EltEnvError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    count, size = extent(prefix.path)
    about = {"target": str(prefix.lock.target), "files": count, "bytes": size}
    if options.json:
        write_atomically(options.json, json.dumps(about | report, indent=2) + "\n")
    for name in groups if options.plots else ():
        bars(name, report["groups"][name], options.plots / f"{name}.svg")
    return int(options.check and not all(each["met"] for each in report["budgets"]))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("project", nargs="?", type=Path, default=Path.cwd())
    parser.add_argument("--target", help="by default the first of the policy that is built")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--only", action="append", choices=sorted(GROUPS), help="these groups")
    parser.add_argument("--json", type=Path, help="where the figures are written as well")
    parser.add_argument("--plots", type=Path, help="the directory for a plot of each group (SVG)")
    parser.add_argument("--check", action="store_true", help="fail where a budget is not met")
    return parser.parse_args(arguments)


def measure_all(
    groups: Mapping[str, Group],
    budgets: Sequence[Budget],
    rounds: int,
    scratch: Path,
    say: Say,
) -> dict[str, Any]:
    """Return the figures of every group and of the budgets, which `say` hears as a table."""
    figures: dict[str, dict[str, Any]] = {}
    every: dict[str, Result] = {}
    for name, group in groups.items():
        results = measure(group.contenders, min(rounds, group.most_rounds), scratch, say)
        figures[name] = {each.name: asdict(each) for each in results}
        every |= {each.name: each for each in results}
        say(f"\n{name}: median and spread, seconds and those of {os.cpu_count()} processors; MB")
        for each in results:
            say(f"  {_line(each)}")
        say("")
    found = [(each, each.figure(every)) for each in budgets]
    for budget, figure in found:
        if figure is not None or every.keys() & {*budget.of}:
            say(budget.told(figure))
    told = [
        asdict(each) | {"figure": figure, "met": figure <= each.most}
        for each, figure in found
        if figure is not None
    ]
    return {"cores": os.cpu_count(), "groups": figures, "budgets": told}


def _line(result: Result) -> str:
    told = []
    for unit, values in (("wall", result.wall), ("cpu", result.cpu)):
        told.append(f"{result.median(unit):8.2f} ± {(max(values) - min(values)) / 2:.2f}")
    return f"{' '.join(told)} {result.median('size') / 1e6:8.1f}  {result.name}"


if __name__ == "__main__":
    sys.exit(main())
