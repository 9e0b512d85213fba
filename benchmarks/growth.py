"""How cost grows with packages, environments and releases: a table, and a plot of each.

    python -m benchmarks.growth [PROJECT] [--target elt@3.11] [--rounds 3] [--plots DIRECTORY]

It measures what is built: run `make run` first. Figures are seconds of the processor, those of
started programs included, each the least of its rounds: what else a machine does, changes little.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.plots import new_plot, save
from benchmarks.side_by_side import processor_seconds
from benchmarks.subject import built, positive, print_line
from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import EltEnvError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say, unheard
from elt_env.release.record import Release
from elt_env.release.record_file import record_key, with_checksum
from elt_env.runtime.files import remove_tree, write_atomically
from elt_env.store.locks import Store
from elt_env.tools import Tools

_LIMIT = 3600.0  # seconds for one program
_ENVIRONMENTS = (1, 10, 100)
_PYTHONS = '["3.10", "3.11", "3.12"]'
_RELEASES = (1, 1000, 5000)
_PARTS = (2, 6, 1000)  # requested packages of pip's half, from the first on
_SPEC = "name: env\nchannels: [conda-forge]\ndependencies: [python, pip]\n"

Work = Callable[[], None]


@dataclass(frozen=True)
class Series:
    """What is measured at several sizes.

    Attributes:
        of: what is counted along it.
        sizes: by size what is done.
    """

    name: str
    of: str
    sizes: Mapping[int, Work]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, draw, and return the exit code."""
    parser = argparse.ArgumentParser("python -m benchmarks.growth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("project", nargs="?", type=Path, default=Path.cwd())
    parser.add_argument("--target", help="by default the first of the policy that is built")
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--plots", type=Path, help="the directory for a plot of each (SVG)")
    options = parser.parse_args(arguments)
    try:
        prefix, tools = built(options.project, options.target)
        with tempfile.TemporaryDirectory(dir=tools.store.local_home, prefix=".bench-") as place:
            found = measure_all(_series(prefix, tools, Path(place)), options.rounds, print_line)
    except EltEnvError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    if options.plots:
        draw(found, options.plots)
    return 0


def measure_all(
    every: Sequence[Series], rounds: int, say: Say
) -> dict[str, dict[str, dict[int, float]]]:
    """Return by what is counted, and by name, the seconds at each size; sizes take turns."""
    found: dict[str, dict[str, dict[int, float]]] = {}
    for series in every:
        taken: dict[int, list[float]] = {size: [] for size in series.sizes}
        for _ in range(rounds):
            for size, work in series.sizes.items():
                before = processor_seconds()
                work()
                taken[size].append(processor_seconds() - before)
        least = {size: min(seconds) for size, seconds in taken.items()}
        found.setdefault(series.of, {})[series.name] = least
        told = ", ".join(f"{seconds:.2f} s with {size:,}" for size, seconds in least.items())
        say(f"{series.name}: {told} {series.of}")
    return found


def draw(found: Mapping[str, Mapping[str, Mapping[int, float]]], directory: Path) -> None:
    """Write a plot for each thing that is counted.

    Raises:
        StorageError: it cannot be written.
    """
    for of, lines in found.items():
        highest = max(max(each.values()) for each in lines.values())
        plot = new_plot(
            "XY",
            include_x_axis=True,
            x_title=of,
            y_title="seconds of the processor",
            range=(0, highest * 1.1),
        )
        for name, seconds in lines.items():
            plot.add(name, sorted(seconds.items()))
        save(plot, directory / f"{of}.svg")


def _series(prefix: Prefix, tools: Tools, place: Path) -> tuple[Series, ...]:
    name = prefix.lock.target.name
    many = {each: project_of(each, place / f"environments-{each}") for each in _ENVIRONMENTS}
    old = {
        each: project_with(each, prefix.lock, tools, place / f"releases-{each}")
        for each in _RELEASES
    }
    locks = {len(each.packages): each for each in _smaller_locks(prefix.lock)}
    builds = {size: _build(lock, tools, place / "store") for size, lock in locks.items()}
    return (
        Series("loading the definitions", "environments", _each(many, "-c", _DEFINITIONS)),
        Series("elt-env show", "releases", _each(old, "-m", "elt_env", "show", name)),
        Series("elt-env history", "releases", _each(old, "-m", "elt_env", "history", name)),
        Series("another prefix of the lock", "packages", builds),
        Series(
            "cp -al of the whole prefix",
            "packages",
            {max(locks): lambda: _link(prefix.path, place / "linked")},
        ),
    )


_DEFINITIONS = "import elt_env.definitions as found; found.defs.get_repository_def()"


def _each(places: Mapping[int, Path], *arguments: str) -> dict[int, Work]:
    return {size: _program(place, arguments) for size, place in places.items()}


def _program(place: Path, arguments: Sequence[str]) -> Work:
    command = [sys.executable, "-W", "ignore", *arguments]

    def work() -> None:
        subprocess.run(command, cwd=place, capture_output=True, timeout=_LIMIT, check=True)  # noqa: S603

    return work


def project_of(number: int, place: Path) -> Path:
    """Return a project with so many environments, each for three Pythons."""
    lines = ["[tool.elt-env]", 'home = ".elt_env"', "warehouse = false"]
    for each in range(number):
        spec = f"environments/env{each}.yml"
        write_atomically(place / spec, _SPEC)
        lines += [f"[tool.elt-env.environments.env{each}]", f'spec = "{spec}"']
        lines.append(f"pythons = {_PYTHONS}")
    write_atomically(place / "pyproject.toml", "\n".join(lines) + "\n")
    return place


def project_with(number: int, lock: Lock, tools: Tools, place: Path) -> Path:
    """Return a project whose store has a lock, and that many releases of others before it."""
    root, home = tools.project.root, place / ".elt_env"
    place.mkdir()
    shutil.copy(root / "pyproject.toml", place)
    shutil.copytree(root / "environments", place / "environments")
    store = Store(home)
    before = next(_smaller_locks(lock))
    for each in (before, lock):
        store.write_lock(each)
    store.set_current(lock.target, lock.digest, tools.store.now())
    name = lock.target.name
    for count in range(1, number + 1):
        digest = lock.digest if count == number else before.digest
        moment = datetime.fromtimestamp(count, timezone.utc)
        release = Release(
            number=count,
            target=name,
            digest=digest,
            image=None,
            at=moment,
            action="promoted",
            trigger="a benchmark",
            by="elt-env promote",
            evidence={},
        )
        (home / "releases" / name / f"{count:06}").mkdir(parents=True)
        record = home / record_key(name, count)
        record.parent.mkdir(parents=True, exist_ok=True)
        record.write_bytes(with_checksum(release))
    (home / "current").mkdir()
    (home / "current" / name).symlink_to(f"../releases/{name}/{number:06}")
    return place


def _smaller_locks(lock: Lock) -> Iterator[Lock]:
    """Yield locks with all of conda's half, and of pip's what more and more requests need."""
    requested = [each.name for each in lock.pip if each.requested]
    for number in _PARTS:
        wanted = set(requested[:number])
        before: set[str] = set()
        while wanted != before:
            before = set(wanted)
            wanted |= {each.name for each in lock.pip if wanted & {*each.required_by}}
        chosen = (each for each in lock.packages if each.manager == "conda" or each.name in wanted)
        yield replace(lock, packages=tuple(chosen))


def _build(lock: Lock, tools: Tools, home: Path) -> Work:
    def work() -> None:
        ensure_prefix(lock, replace(tools, store=Store(home)), unheard)
        remove_tree(home)

    return work


def _link(prefix: Path, place: Path) -> None:
    subprocess.run(["cp", "-al", str(prefix), str(place)], timeout=_LIMIT, check=True)  # noqa: S603, S607
    remove_tree(place)


if __name__ == "__main__":
    sys.exit(main())
