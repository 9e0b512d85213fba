"""How long it takes to lock, side by side with one resolve of the same requirements by pip's side.

    python -m benchmarks.lock [PROJECT] [--target elt@3.11] [--rounds 3]

Both ask for everything anew, in turns, with warm caches, and each is told by its fastest round. The
floor is one `uv pip compile` of the requirements of both halves, which knows nothing of conda. What
is current in the project stays so.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.pack import positive, print_line
from benchmarks.side_by_side import Contender, measure, table
from elt_env.environment.build import require_lock
from elt_env.errors import EltEnvError
from elt_env.lock.candidate import find_candidate
from elt_env.lock.joint import common_request
from elt_env.lock.request import ask
from elt_env.lock.solve import as_requirement
from elt_env.machine.process import Say, unheard
from elt_env.package.platform import this_platform
from elt_env.package.target import Target, parse_target
from elt_env.project.settings import open_project
from elt_env.tools import Tools, open_tools


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.lock", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("project", nargs="?", type=Path, default=Path.cwd())
    parser.add_argument("--target", default="elt@3.11", help="one that is locked")
    parser.add_argument("--rounds", type=positive, default=3)
    options = parser.parse_args(arguments)
    try:
        tools = open_tools(open_project(options.project), options.target.partition("@")[0])
        target = parse_target(options.target, this_platform())
        with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
            report(target, tools, options.rounds, Path(scratch), print_line)
    except EltEnvError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def report(target: Target, tools: Tools, rounds: int, scratch: Path, say: Say) -> None:
    """Say how long each contender takes.

    Raises:
        InputError: the target is not locked.
    """
    locked = require_lock(target, tools.store)
    results = measure(contenders(target, tools), rounds, scratch, say)
    say(f"{target}: {len(locked.conda)} conda and {len(locked.pip)} pip packages")
    for line in table(results):
        say(line)


def contenders(target: Target, tools: Tools) -> tuple[Contender, ...]:
    """Return the floor and this project's lock of both halves."""
    return (
        Contender("floor: one uv pip compile", lambda _: _compile(target, tools)),
        Contender("elt-env, all may be upgraded", lambda _: _lock(target, tools)),
    )


def _compile(target: Target, tools: Tools) -> int:
    locked = require_lock(target, tools.store)
    question = ask(target, tools.project.spec(target.environment), tools.policy, tools.store.now)
    conda = map(as_requirement, question.spec.conda)
    request = common_request(question, locked.python.version, tools.policy)
    asked = (*question.pip, *conda)
    bounds = question.spec.constraints
    request = replace(request, requirements=asked, bounds=bounds, fresh=True)
    tools.resolver.resolve(request, unheard)
    return 0


def _lock(target: Target, tools: Tools) -> int:
    find_candidate(target, tools, unheard, upgrade=None)
    return 0


if __name__ == "__main__":
    sys.exit(main())
