"""All that has a budget, measured in one run: a table, JSON, and what falls short.

    python -m benchmarks.run [PROJECT] [--target elt@3.11] [--rounds 5] [--only build] [--json FILE]

What is compared takes turns on the same inputs, and is told by its median and its spread. A budget
is a ratio to the floor of its group, or seconds beyond it. Peers that are not installed are named.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import lock as locking
from benchmarks.pack import Ours, built, peers, positive, print_line
from benchmarks.side_by_side import Contender, Result, extent, measure
from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import EltEnvError
from elt_env.machine.process import Say, unheard
from elt_env.runtime.files import write_atomically
from elt_env.store.locks import Store
from elt_env.tools import Tools

_LIMIT = 3600.0  # seconds for one program


@dataclass(frozen=True)
class Budget:
    """What a contender may take.

    Attributes:
        of: the contender.
        floor: what it is compared with.
        most: how many times the floor's median, or with `beyond` how many seconds more.
    """

    of: str
    floor: str
    most: float
    beyond: bool = False

    def figure(self, medians: Mapping[str, float]) -> float:
        """Return what was measured, in the unit of `most`."""
        taken, floor = medians[self.of], medians[self.floor]
        return taken - floor if self.beyond else taken / floor

    def told(self, figure: float) -> str:
        """Return the figure and the budget in a line."""
        unit = "s beyond" if self.beyond else "times"
        state = "ok" if figure <= self.most else "FALLS SHORT"
        return f"{state:<12} {figure:6.2f} of {self.most:.2f} {unit} {self.floor}: {self.of}"


@dataclass(frozen=True)
class Group:
    """What is compared on the same input."""

    contenders: tuple[Contender, ...]
    budgets: tuple[Budget, ...]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, and return the exit code; with --check it is 1 where a budget is not met."""
    options = _options(arguments)
    try:
        prefix, tools = built(options.project, options.target)
        with tempfile.TemporaryDirectory(dir=tools.store.local_home, prefix=".bench-") as scratch:
            report = measure_all(
                _groups(prefix, tools, options.only), options.rounds, Path(scratch), print_line
            )
    except EltEnvError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    count, size = extent(prefix.path)
    about = {"target": str(prefix.lock.target), "files": count, "bytes": size}
    if options.json:
        write_atomically(options.json, json.dumps(about | report, indent=2) + "\n")
    return int(options.check and not all(each["met"] for each in report["budgets"]))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("project", nargs="?", type=Path, default=Path.cwd())
    parser.add_argument("--target", help="by default the first of the policy that is built")
    parser.add_argument("--rounds", type=positive, default=5)
    parser.add_argument("--only", action="append", choices=sorted(_GROUPS), help="these groups")
    parser.add_argument("--json", type=Path, help="where the figures are written as well")
    parser.add_argument("--check", action="store_true", help="fail where a budget is not met")
    return parser.parse_args(arguments)


def measure_all(
    groups: Mapping[str, Group], rounds: int, scratch: Path, say: Say
) -> dict[str, Any]:
    """Return the figures of every group and of its budgets, which `say` hears as a table."""
    figures, budgets = {}, []
    for name, group in groups.items():
        results = measure(group.contenders, rounds, scratch, say)
        medians = {each.name: median(each.seconds) for each in results}
        figures[name] = {each.name: _figures(each) for each in results}
        say(f"\n{name}: seconds, median of {rounds} ({os.cpu_count()} cores)")
        for each in results:
            spread = max(each.seconds) - min(each.seconds)
            say(f"  {medians[each.name]:8.2f} ± {spread / 2:.2f}  {each.name}")
        for budget in group.budgets:
            found = budget.figure(medians)
            say(f"  {budget.told(found)}")
            budgets.append({**vars(budget), "figure": found, "met": found <= budget.most})
        say("")
    return {"cores": os.cpu_count(), "groups": figures, "budgets": budgets}


def _figures(result: Result) -> dict[str, Any]:
    return {"seconds": result.seconds, "median": median(result.seconds), "bytes": result.size}


def _groups(prefix: Prefix, tools: Tools, only: Sequence[str] | None) -> dict[str, Group]:
    return {name: _GROUPS[name](prefix, tools) for name in only or _GROUPS}


def _commands(prefix: Prefix, tools: Tools) -> Group:
    """Return the start of commands, beside that of Python and of Dagster."""
    target = prefix.lock.target.name
    root = tools.project.root
    python = [sys.executable, "-W", "ignore"]
    lines = {
        "python": [*python, "-c", "pass"],
        "elt-env --help": [*python, "-m", "elt_env", "--help"],
        f"elt-env show {target}": [*python, "-m", "elt_env", "show", target],
        f"elt-env run {target} -- true": [*python, "-m", "elt_env", "run", target, "--", "true"],
        "import dagster": [*python, "-c", "import dagster"],
        "load the definitions": [*python, "-c", "import elt_env.definitions"],
    }
    _, help_, show, run, dagster, definitions = lines
    budgets = ((help_, "python", 0.15), (show, "python", 0.3), (run, "python", 0.2))
    return Group(
        tuple(Contender(name, _program(line, root)) for name, line in lines.items()),
        tuple(Budget(*each, beyond=True) for each in (*budgets, (definitions, dagster, 0.4))),
    )


def _program(command: Sequence[str], directory: Path) -> Callable[[Path], int]:
    def work(_place: Path) -> int:
        # Not with this project's own runner, which looks for the end now and then.
        subprocess.run(command, cwd=directory, capture_output=True, timeout=_LIMIT, check=True)  # noqa: S603
        return 0

    return work


def _build(prefix: Prefix, tools: Tools) -> Group:
    """Return a build of the prefix in another place, beside the links that it takes at least."""

    def link(place: Path) -> int:
        return _program(["cp", "-al", str(prefix.path), str(place / "linked")], place)(place)

    def build(place: Path) -> int:
        ensure_prefix(prefix.lock, replace(tools, store=Store(place / "store")), unheard)
        return 0

    floor, ours = "cp -al", "elt-env, another prefix"
    return Group((Contender(floor, link), Contender(ours, build)), (Budget(ours, floor, 3.0),))


def _pack(prefix: Prefix, tools: Tools) -> Group:
    floor, *others = peers(prefix.path)
    anew, again = Ours(prefix, tools, unheard).contenders
    return Group(
        (floor, *others, anew, again),
        (Budget(anew.name, floor.name, 1.8), Budget(again.name, floor.name, 0.1)),
    )


def _lock(prefix: Prefix, tools: Tools) -> Group:
    floor, ours = locking.contenders(prefix.lock.target, tools)
    return Group((floor, ours), (Budget(ours.name, floor.name, 0.5),))


_GROUPS = {"commands": _commands, "build": _build, "pack": _pack, "lock": _lock}


if __name__ == "__main__":
    sys.exit(main())
