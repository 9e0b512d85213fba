"""Measures several ways to do the same thing in one run, in turns."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from elt_env.errors import ToolError
from elt_env.machine.process import Say
from elt_env.runtime.files import remove_tree

LIMIT = 3600.0  # seconds for one program


def _nothing(_place: Path) -> None:
    """Prepare nothing."""


@dataclass(frozen=True)
class Contender:
    """One way to do it.

    Attributes:
        work: what is measured; it works in the directory it is given, new in every round and
            shared by the contenders, and returns how many bytes it made.
        prepare: what has to happen there before, and is not measured.
        needs: programs without which it cannot be measured.
    """

    name: str
    work: Callable[[Path], int]
    prepare: Callable[[Path], None] = _nothing
    needs: tuple[str, ...] = ()

    @property
    def missing(self) -> tuple[str, ...]:
        """The needed programs that are not installed."""
        return tuple(each for each in self.needs if shutil.which(each) is None)


@dataclass
class Result:
    """What the rounds of a contender took: seconds, those of processors, and bytes made."""

    name: str
    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    size: list[float] = field(default_factory=list)

    def median(self, unit: str) -> float:
        """Return the median of one of them."""
        values: list[float] = getattr(self, unit)
        return median(values)


def measure(
    contenders: Sequence[Contender], rounds: int, scratch: Path, say: Say
) -> tuple[Result, ...]:
    """Return what the rounds took; what cannot be measured, or fails, is said and left out.

    In a round the contenders come one after the other, so that whatever else the machine does
    meets all of them. `scratch` is empty again after each round.
    """
    able = [each for each in contenders if not each.missing]
    for each in contenders:
        if each.missing:
            say(f"not measured: {each.name}, for want of {', '.join(each.missing)}")
    results = {each.name: Result(each.name) for each in able}
    for number in range(1, rounds + 1):
        place = scratch / f"round-{number}"
        place.mkdir()
        try:
            for contender in [each for each in able if each.name in results]:
                result = results[contender.name]
                try:
                    _measure_once(contender, result, place)
                except (subprocess.SubprocessError, ToolError) as error:
                    say(f"not measured: {contender.name}, which failed: {_why(error)}")
                    del results[contender.name]
                    continue
                told = f"{result.wall[-1]:7.2f} s, {result.cpu[-1]:7.2f} of CPU"
                say(f"round {number}: {told}  {result.name}")
        finally:
            remove_tree(place)
    return tuple(results.values())


def _why(error: Exception) -> str:
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else None
    return said.decode(errors="replace")[-500:] if said else str(error)


def _measure_once(contender: Contender, result: Result, place: Path) -> None:
    contender.prepare(place)
    os.sync()  # what the others wrote is not this one's to wait for
    start, before = time.perf_counter(), processor_seconds()
    result.size.append(contender.work(place))
    result.wall.append(time.perf_counter() - start)
    result.cpu.append(processor_seconds() - before)


def processor_seconds() -> float:
    """Return the seconds of this process, and of those that it started and that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def program(command: Sequence[str | Path], directory: Path) -> Callable[[Path], int]:
    """Return the work of running a program in a directory.

    Not with this project's own runner, which looks for the end now and then.
    """

    def work(_place: Path) -> int:
        subprocess.run(command, cwd=directory, capture_output=True, timeout=LIMIT, check=True)  # noqa: S603
        return 0

    return work


def extent(path: Path) -> tuple[int, int]:
    """Return how many regular files are below a directory, and the bytes they hold."""
    sizes = [each.stat().st_size for each in files(path)]
    return len(sizes), sum(sizes)


def files(path: Path) -> Iterator[Path]:
    """Yield the regular files below a directory; symbolic links are not followed."""
    for directory, _, names in os.walk(path):
        for name in names:
            file = Path(directory, name)
            if file.is_file() and not file.is_symlink():
                yield file
