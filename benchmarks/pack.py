"""How long it takes to pack an environment, side by side with what else could do it.

    python -m benchmarks.pack [PROJECT] [--target elt@3.11] [--rounds 3] [--scratch DIRECTORY]

Everything packs the same built prefix, in turns, and each is told by its fastest round. The ratio
is to the floor, which reads and hashes the files and does no more. The system's caches are left
as they are; what was written before is on the disk when a clock starts.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks.side_by_side import Contender, extent, files, measure, table
from elt_env.environment.build import require_lock
from elt_env.environment.prefix import Prefix
from elt_env.errors import EltEnvError, InputError, ToolError
from elt_env.image.pack import pack, prepare_base
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say, run
from elt_env.package.platform import this_platform
from elt_env.package.target import parse_target
from elt_env.project.settings import open_project
from elt_env.runtime.files import sha256_of
from elt_env.store.locks import Store
from elt_env.tools import Tools, open_tools

_LIMIT = 3600.0  # seconds for one program
_HOME = "elt-env"  # the store of this project's packer


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print a table, and return the exit code; nothing is left behind."""
    options = _options(arguments)
    try:
        prefix, tools = built(options.project, options.target)
        home = options.scratch or tools.store.local_home
        with tempfile.TemporaryDirectory(dir=home, prefix=".bench-") as scratch:
            report(prefix, tools, options.rounds, Path(scratch), print_line)
    except EltEnvError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks.pack", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("project", nargs="?", type=Path, default=Path.cwd())
    parser.add_argument("--target", help="by default the first of the policy that is built")
    parser.add_argument("--rounds", type=positive, default=3)
    parser.add_argument("--scratch", type=Path, help="where to write; by default in the store")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """Return a number that is above 0; ValueError for any other text."""
    if int(text) < 1:
        raise ValueError(text)
    return int(text)


def print_line(line: str, *_: int) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def built(root: Path, target: str | None) -> tuple[Prefix, Tools]:
    """Return a built prefix of a project, that of `target` if one is given, and its tools.

    Raises:
        InputError: there is none, or no project.
    """
    project = open_project(root)
    every = [
        f"{environment}@{python}"
        for environment, policy in project.policy.environments.items()
        for python in policy.pythons
    ]
    for name in [target] if target else every:
        tools = open_tools(project, name.partition("@")[0])
        wanted = parse_target(name, this_platform())
        if tools.store.pointer(wanted) is None:
            continue
        lock = require_lock(wanted, tools.store)
        prefix = Prefix(tools.store.prefix_path(lock), lock)
        if prefix.ready:
            return prefix, tools
    raise InputError(
        f"{project.root} has no built prefix of {target or ' or '.join(every)}.",
        "Build one with: make run",
    )


def report(prefix: Prefix, tools: Tools, rounds: int, scratch: Path, say: Say) -> None:
    """Say how long each contender takes."""
    ours = Ours(prefix, tools, say)
    results = measure((*peers(prefix.path), *ours.contenders), rounds, scratch, say)
    count, size = extent(prefix.path)
    say("")
    say(f"{prefix.lock.target}: {size / 1e6:,.1f} MB in {count:,} files; {os.cpu_count()} cores")
    for line in table(results):
        say(line)


def peers(prefix: Path) -> tuple[Contender, ...]:
    """Return the floor and other people's packers."""
    return (
        Contender("floor: read and sha256 every file", lambda _: _hash(prefix)),
        Contender("tar | zstd -T2 -3", lambda place: _tar(prefix, place), needs=("tar", "zstd")),
        Contender(
            "buildah from, copy, commit", lambda place: _buildah(prefix, place), needs=("buildah",)
        ),
    )


def _hash(prefix: Path) -> int:
    for path in files(prefix):
        sha256_of(path)
    return 0


def _tar(prefix: Path, place: Path) -> int:
    archive = place / "prefix.tar.zst"
    compressor = "--use-compress-program=zstd -T2 -3 --quiet"
    _run("tar", "--create", compressor, f"--file={archive}", f"--directory={prefix}", ".")
    return archive.stat().st_size


def _buildah(prefix: Path, place: Path) -> int:
    """Write an OCI layout, compressed as for a registry, with a store of its own."""
    own = place / "buildah"
    buildah = ["buildah", f"--root={own}/root", f"--runroot={own}/run", "--storage-driver=vfs"]
    container = "elt-env-benchmark"
    _run(*buildah, "from", "--isolation=chroot", f"--name={container}", "scratch")
    _run(*buildah, "copy", container, str(prefix), "/opt/elt")
    image = f"oci:{own}/layout:image"
    _run(*buildah, "commit", "--disable-compression=false", container, image)
    return extent(own / "layout")[1]


def _run(*command: str) -> None:
    done = run(command, limit=_LIMIT)
    if done.returncode:
        raise ToolError(
            f"{command[0]} ended with exit code {done.returncode}:\n{done.stderr}",
            "Repair it, or measure without it: it is left out where it is not installed.",
        )


class Ours:
    """This project's packer, with a store of its own in every round: only the prefix is shared.

    The base is there before the clock starts, for the peers pack none.
    """

    def __init__(self, prefix: Prefix, tools: Tools, say: Say) -> None:
        self._lock = prefix.lock
        self._tools = tools
        self._say = say
        self._base_size = 0

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """Packing where nothing can be reused, and once more after it."""
        return (
            Contender("elt-env, nothing to reuse", self._pack, self._prepare),
            Contender("elt-env, nothing changed", self._pack),
        )

    def _prepare(self, place: Path) -> None:
        """Give the round a store with nothing but the base, which is made once."""
        seed = place.parent / _HOME
        if not seed.exists():
            prepare_base(
                self._lock, self._at(place.parent).project, self._at(place.parent).store, self._say
            )
        shutil.copytree(seed, place / _HOME)
        base = prepare_base(self._lock, self._at(place).project, self._at(place).store, self._say)
        self._base_size = sum(each.blob.size for each in base.layers)

    def _pack(self, place: Path) -> int:
        return (
            pack(self._lock, self._at(place).project, self._at(place).store, self._say).image.size
            - self._base_size
        )

    def _at(self, place: Path) -> Tools:
        return replace(self._tools, store=_Scratch(place / _HOME, self._tools.store))


class _Scratch(Store):
    """An empty store that has the prefixes of another one."""

    def __init__(self, home: Path, other: Store) -> None:
        super().__init__(home)
        self._other = other

    def prefix_path(self, lock: Lock) -> Path:
        return self._other.prefix_path(lock)


if __name__ == "__main__":
    sys.exit(main())
