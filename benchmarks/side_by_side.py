"""Measures several ways to do the same thing in one run, in turns, and tells them as a table."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from elt_env.machine.process import Say
from elt_env.runtime.files import remove_tree


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
    """The seconds of each round of a contender, and the bytes of its last."""

    name: str
    seconds: list[float] = field(default_factory=list)
    size: int = 0


def measure(
    contenders: Sequence[Contender], rounds: int, scratch: Path, say: Say
) -> tuple[Result, ...]:
    """Return what the rounds took; those that cannot be measured are said and left out.

    In a round the contenders come one after the other, so that whatever else the machine does
    meets all of them. `scratch` is empty again after each round.
    """
    able = [each for each in contenders if not each.missing]
    for each in contenders:
        if each.missing:
            say(f"not measured: {each.name}, for want of {', '.join(each.missing)}")
    results = tuple(Result(each.name) for each in able)
    for number in range(1, rounds + 1):
        place = scratch / f"round-{number}"
        place.mkdir()
        try:
            for contender, result in zip(able, results, strict=True):
                _measure_once(contender, result, place)
                say(f"round {number}: {result.seconds[-1]:7.2f} s  {result.name}")
        finally:
            remove_tree(place)
    return results


def _measure_once(contender: Contender, result: Result, place: Path) -> None:
    contender.prepare(place)
    os.sync()  # what the others wrote is not this one's to wait for
    start = time.perf_counter()
    result.size = contender.work(place)
    result.seconds.append(time.perf_counter() - start)


def table(results: Sequence[Result]) -> Iterator[str]:
    """Yield the lines of a table of the fastest rounds, with their ratios to the first result."""
    width = max(len(each.name) for each in results)
    yield f"{'':{width}}  {'seconds':>8}  {'slowest':>8}  {'MB':>8}  {'ratio':>6}"
    floor = min(results[0].seconds)
    for each in results:
        best = min(each.seconds)
        size = f"{each.size / 1e6:,.1f}" if each.size else "-"
        yield (
            f"{each.name:{width}}  {best:8.2f}  {max(each.seconds):8.2f}  {size:>8}  "
            f"{best / floor:6.2f}"
        )


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
