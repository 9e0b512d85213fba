"""Compiles modules to bytecode that is the same in every directory and beside any other package."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from elt_env import probes
from elt_env.errors import EltEnvError, ToolError
from elt_env.machine.process import clean_environment, end_of, run
from elt_env.runtime.files import storage_error

COMPILER = probes.DIRECTORY / "compile_bytecode.py"
_FULL = "No space left on device"
_LIFE = "... still running"


def compile_modules(  # noqa: PLR0913  # what, where, with what, and the two of every tool
    python: Path,
    root: Path,
    groups: Iterable[Sequence[str]],
    limit: float,
    say: Callable[[str], None],
    *,
    level: int = 0,
) -> tuple[str, ...]:
    """Compile the modules of every group below `root`, two groups at a time.

    Beside each source lies its bytecode then, with the source's checked hash (PEP 552). Its bytes
    depend on the sources of the group and on the interpreter's version, and on nothing else.

    Args:
        python: the interpreter, of any place.
        root: the directory that the bytecode does not name.
        groups: paths of sources below `root`, those of one package together.
        limit: seconds it may take.
        say: given a sign of life.
        level: how it is optimized: 0 for not at all, 1 and 2 as `python -O` and `-OO` do.

    Returns what does not compile, a line each: its path and why.

    Raises:
        StorageError: the disk is full.
        ToolError: the interpreter cannot do it.
        TimeLimitError: it took longer.
    """

    def heed(line: str) -> None:
        if line.startswith(_LIFE):
            say(f"bytecode: {line}")

    ordered = sorted(groups, key=lambda group: (-len(group), group))
    done = run(
        # Isolated by its variables: -I would let the hash seed vary, on which the order of sets
        # in bytecode rests before Python 3.11.
        [python, "-S", "-B", COMPILER],
        input=json.dumps({"level": level, "groups": ordered}),
        limit=limit,
        env=clean_environment(extra={"PYTHONHASHSEED": "0"}),
        cwd=root,
        say=heed,
    )
    if done.returncode:
        raise _error(root, done.stderr)
    return tuple(done.stdout.splitlines())


def _error(root: Path, printed: str) -> EltEnvError:
    if _FULL in printed:
        return storage_error(root, "", full=True)
    return ToolError(
        f"The modules of {root} cannot be compiled: {end_of(printed.strip(), 5)}",
        "Run the same command again.",
    )
