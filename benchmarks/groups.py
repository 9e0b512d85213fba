"""What is compared with what: groups of contenders that take turns on the same inputs."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from uv import find_uv_bin

from benchmarks import lock as locking
from benchmarks.daemon import Watched
from benchmarks.growth import project_of, project_with
from benchmarks.history import Warehouse
from benchmarks.index_server import serving
from benchmarks.pack import Images, packers
from benchmarks.side_by_side import Contender, program
from benchmarks.watch import Sensor
from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.lockfile import requirements
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import unheard
from elt_env.proof.checks.registry import build_checks
from elt_env.proof.prove import Prover, image_prover, prefix_prover
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store
from elt_env.tools import Tools, open_tools
from tests.support.index_server import IndexServer
from tests.support.loopback import running
from tests.support.wheels import make_wheel

_PYTHON = [sys.executable, "-W", "ignore"]
_STARTS = 100
_TRIVIAL = """\
import dagster as dg
@dg.op
def nothing(): pass
@dg.job(executor_def=dg.in_process_executor)
def trivial(): nothing()
"""


@dataclass(frozen=True)
class Group:
    """What is compared on the same input.

    Attributes:
        most_rounds: for what takes minutes, or downloads.
    """

    contenders: tuple[Contender, ...]
    most_rounds: int = 99


Make = Callable[[Prefix, Tools, Path, ExitStack], Group]


def _commands(prefix: Prefix, tools: Tools, _: Path, __: ExitStack) -> Group:
    """Return the start of commands, beside that of Python, of Dagster and of the tool itself."""
    target, root = prefix.lock.target.name, tools.project.root
    command = [*_PYTHON, "-m", "elt_env"]
    lines: dict[str, Sequence[str | Path]] = {
        "python": [*_PYTHON, "-c", "pass"],
        "elt-env --help": [*command, "--help"],
        "elt-env show": [*command, "show", target],
        "elt-env run -- true": [*command, "run", target, "--", "true"],
        "import dagster": [*_PYTHON, "-c", "import dagster"],
        "load the definitions": [*_PYTHON, "-c", "import elt_env.definitions"],
    }
    launcher = ReleaseStore(tools.store).entry_points(target) / "python"
    if launcher.exists():
        many = f'n=0; while [ $n -lt {_STARTS} ]; do "$1" -c pass; n=$((n+1)); done'
        lines[f"{_STARTS} starts of the tool"] = ["sh", "-c", many, "-", prefix.path / "bin/python"]
        lines[f"{_STARTS} starts of the launcher"] = ["sh", "-c", many, "-", launcher]
    return Group(_programs(lines, root))


def _programs(lines: Mapping[str, Sequence[str | Path]], root: Path) -> tuple[Contender, ...]:
    return tuple(Contender(name, program(line, root)) for name, line in lines.items())


def _dagster(prefix: Prefix, tools: Tools, scratch: Path, _: ExitStack) -> Group:
    """Return a run in which nothing is new, beside a job that does nothing; many environments."""
    target, trivial = prefix.lock.target, scratch / "trivial.py"
    trivial.write_text(_TRIVIAL, encoding="utf-8")
    execute: list[str | Path] = [Path(sys.executable).with_name("dagster"), "job", "execute"]
    config = Path(__file__).parents[1] / "elt_env/defs/console.yaml"
    partition = f'{{"dagster/partition": "{target.python}"}}'
    job: list[str | Path] = ["-j", f"{target.environment}_build", "--config", config]
    lines: dict[str, Sequence[str | Path]] = {
        "a Dagster job of nothing": [*execute, "-f", trivial, "-j", "trivial"],
        "elt_build, nothing new": [
            *execute,
            "-m",
            "elt_env.definitions",
            *job,
            "--tags",
            partition,
        ],
    }
    load = [*_PYTHON, "-c", "import elt_env.definitions as it; it.defs.get_repository_def()"]
    many = tuple(
        Contender(
            f"definitions of {each}",
            program(load, project_of(each, scratch / f"environments-{each}")),
        )
        for each in (1, 100)
    )
    return Group((*_programs(lines, tools.project.root), *many))


def _build(prefix: Prefix, tools: Tools, scratch: Path, stack: ExitStack) -> Group:
    """Return prefixes: the same again, and with one package changed; and their peer."""
    wheels = scratch / "wheels"
    wheels.mkdir()
    changing = _Changing(prefix.lock, tools, wheels, stack.enter_context(serving(wheels)))

    def build(place: Path) -> int:
        return _made(prefix.lock, replace(tools, store=Store(place / "store")))

    return Group(
        (
            Contender("cp -al", program_in("cp", "-al", prefix.path, "linked")),
            Contender("prefix, warm caches", build),
            Contender("prefix, one changed", changing.build, changing.prepare),
        )
    )


def _image(prefix: Prefix, tools: Tools, scratch: Path, stack: ExitStack) -> Group:
    """Return images: anew, the same again, and with one package changed; and their peers."""
    wheels = scratch / "wheels-of-images"
    wheels.mkdir()
    changing = _Changing(prefix.lock, tools, wheels, stack.enter_context(serving(wheels)))

    def change(place: Path) -> tuple[Lock, Store]:
        changing.prepare(place)
        changing.build(place)
        return changing.lock, Store(place / "changed")

    return Group((*packers(prefix.path), *Images(prefix, tools, change).contenders))


def program_in(*command: str | Path) -> Callable[[Path], int]:
    """Return the work of running a program in the directory of a round."""
    return lambda place: program(command, place)(place)


def _made(lock: Lock, tools: Tools) -> int:
    ensure_prefix(lock, tools, unheard)
    return 0


class _Changing:
    """A lock of which one package is new each time, and its prefix."""

    def __init__(self, like: Lock, tools: Tools, wheels: Path, server: str) -> None:
        self.lock = like
        self._like, self._tools, self._wheels, self._server = like, tools, wheels, server
        self._count = 0

    def prepare(self, _place: Path) -> None:
        """Make another version of the package."""
        self._count += 1
        wheel = make_wheel(self._wheels, "elt-benchmark", f"1.{self._count}")
        package = Package(
            manager="pip",
            name="elt-benchmark",
            version=f"1.{self._count}",
            url=f"{self._server}/files/{wheel.name}",
            sha256=hashlib.sha256(wheel.read_bytes()).hexdigest(),
            index=f"{self._server}/simple",
        )
        self.lock = replace(self._like, packages=(*self._like.packages, package))

    def build(self, place: Path, store: str = "changed") -> int:
        """Build the prefix."""
        return _made(self.lock, replace(self._tools, store=Store(place / store)))


def _disk(prefix: Prefix, tools: Tools, scratch: Path, stack: ExitStack) -> Group:
    """Return what a prefix takes on the disk, and what nine more that are nearly equal add."""
    wheels = scratch / "wheels-of-ten"
    wheels.mkdir()
    changing = _Changing(prefix.lock, tools, wheels, stack.enter_context(serving(wheels)))

    def tenth(place: Path) -> int:
        before = 0
        for _ in range(9):
            changing.prepare(place)
            before = _blocks(place)
            changing.build(place, "ten")
        return _blocks(place) - before

    return Group(
        (
            Contender("prefix", lambda _: _blocks(prefix.path, own=False)),
            Contender("tenth prefix", tenth),
        ),
        most_rounds=1,
    )


def _blocks(root: Path, *, own: bool = True) -> int:
    """Return the bytes on the disk below a directory; `own`: of what has no link elsewhere."""
    found: dict[int, os.stat_result] = {}
    links: dict[int, int] = {}
    for directory, directories, names in os.walk(root):
        for name in (*names, *directories):
            about = os.lstat(Path(directory, name))
            found[about.st_ino] = about
            links[about.st_ino] = links.get(about.st_ino, 0) + 1
    mine = (
        each
        for inode, each in found.items()
        if not own or stat.S_ISDIR(each.st_mode) or each.st_nlink <= links[inode]
    )
    return sum(each.st_blocks * 512 for each in mine)


def _cold(prefix: Prefix, tools: Tools, _: Path, __: ExitStack) -> Group:
    """Return a build in which nothing was fetched before, and what others need for pip's half."""
    lock, uv = prefix.lock, find_uv_bin()

    def build(place: Path) -> int:
        policy = tools.policy.model_copy(update={"cache_home": str(place / "cache")})
        cold = open_tools(replace(tools.project, policy=policy), tools.name)
        return _with_uv_cache(
            place / "uv", lambda: _made(lock, replace(cold, store=Store(place / "store")))
        )

    def install(place: Path, *command: str | Path) -> int:
        listed = place / "requirements.txt"
        listed.write_text(requirements.render(lock), encoding="utf-8")
        indexes = [part for each in lock.indexes for part in ("--extra-index-url", each)]
        return program([*command, "--no-deps", "--require-hashes", *indexes, "-r", listed], place)(
            place
        )

    def with_uv(place: Path) -> int:
        venv = place / "venv-uv"
        program([uv, "venv", "--python", prefix.path / "bin/python", venv], place)(place)
        options = ("--compile-bytecode", "--cache-dir", place / "uv-peer", "--python", venv)
        return install(place, uv, "pip", "install", *options)

    def with_pip(place: Path) -> int:
        venv = place / "venv-pip"
        program([prefix.path / "bin/python", "-m", "venv", venv], place)(place)
        return install(place, venv / "bin/python", "-m", "pip", "install", "--no-cache-dir")

    conda = locking.link_with_conda(lock.target, tools)
    return Group(
        (
            Contender("uv pip install, cold caches", with_uv),
            Contender("prefix, cold caches", build),
            Contender("pip install, cold caches", with_pip),
            Contender("conda create, its half alone", conda, needs=("conda",)),
        ),
        most_rounds=2,
    )


def _with_uv_cache(place: Path, work: Callable[[], int]) -> int:
    before = os.environ.get("UV_CACHE_DIR")
    os.environ["UV_CACHE_DIR"] = str(place)
    try:
        return work()
    finally:
        if before is None:
            del os.environ["UV_CACHE_DIR"]
        else:
            os.environ["UV_CACHE_DIR"] = before


def _checks(prefix: Prefix, tools: Tools, _: Path, __: ExitStack) -> Group:
    """Return what a release waits for: the checks that a build ends with, and all on the image."""
    names = build_checks(tools.project.environment(prefix.lock.target.environment))

    def prove(make: Callable[..., Prover], *names: str) -> Callable[[Path], int]:
        return lambda _: len(make(prefix.lock, tools, unheard, again=True).results(names or None))

    return Group(
        (
            Contender("checks of a prefix", prove(prefix_prover, *names)),
            Contender("checks of an image", prove(image_prover)),
        ),
        most_rounds=3,
    )


def _lock(prefix: Prefix, tools: Tools, _: Path, __: ExitStack) -> Group:
    return Group(locking.contenders(prefix.lock.target, tools))


def _watch(prefix: Prefix, _: Tools, scratch: Path, stack: ExitStack) -> Group:
    sensor = Sensor(scratch / "watched", prefix.lock, stack.enter_context(serving(scratch)))
    sensor.tick()  # what is there at first is new, and costs its pages
    return Group((Contender("sensor", lambda _: sensor.tick()),))


def _release(prefix: Prefix, tools: Tools, _: Path, stack: ExitStack) -> Group:
    """Return a release of one package by a running daemon."""
    index = stack.enter_context(running(IndexServer()))
    watched = Watched(tools.project.root, prefix.lock.target, index)
    released = Contender("release by the daemon", watched.release, watched.prepare)
    return Group((released,), most_rounds=1)


def _history(prefix: Prefix, tools: Tools, scratch: Path, _: ExitStack) -> Group:
    show = [*_PYTHON, "-m", "elt_env", "show", prefix.lock.target.name]
    old = {
        each: project_with(each, prefix.lock, tools, scratch / f"old-{each}") for each in (1, 5000)
    }
    many = Warehouse(old[5000], tools.project.root, prefix.lock)
    return Group(
        (
            Contender("show, 1 release", program(show, old[1])),
            Contender("show, 5,000 releases", program(show, old[5000])),
            Contender("loading 5,000 releases", many.load, lambda _: many.forget()),
            Contender("one more of 5,000", many.load, lambda _: many.release(prefix)),
        )
    )


GROUPS: dict[str, Make] = {
    "commands": _commands,
    "dagster": _dagster,
    "lock": _lock,
    "build": _build,
    "image": _image,
    "disk": _disk,
    "cold": _cold,
    "watch": _watch,
    "history": _history,
    "release": _release,
    "checks": _checks,
}
