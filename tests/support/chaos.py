"""Kills commands at random instants, and looks whether the release still works.

Used as `python -m tests.support.chaos --kills 1000 --seed 1`. The commands lock, build, prove,
pack, promote, roll back, collect and mend in one store, while another process relocks and reads,
and the released program runs all the time. After each kill that program works and is the release's
own, and `verify` says what is true, which is known from the hashes in conda's and pip's own
records. A quarter of what was killed is run again to its end.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import csv
import hashlib
import json
import logging
import os
import random
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from elt_env.machine.process import Say, marked
from elt_env.runtime.files import write_atomically
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_distribution
from tests.support.forks import Ended, Forks, forks
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.project import make_project
from tests.support.python_channel import shared_python_channel
from tests.support.wheels import make_wheel

_NAME = "elt"
_PROGRAM = "gamma"
_VERSIONS = tuple(f"1.{number}" for number in range(10))
_NOTES = "gamma/notes.txt"
_LIMIT = 60.0  # seconds
_PAUSE = 1.0  # seconds between two commands of the neighbour
_FINISHED = 0.25  # of what was killed is run again to its end
_LEFT = re.compile(r"\.(?:new|part|load|parse|collected)-|\..*\.[a-z0-9_]{8}$")
_DAMAGED = 5  # the exit code of verify

_COMMANDS: dict[str, tuple[tuple[str, ...], frozenset[int], int]] = {
    # What is typed, the exit codes that are right in any state, and how often it is chosen.
    "lock": (("lock", _NAME), frozenset({0}), 2),
    "relock": (("relock", _NAME), frozenset({0}), 1),
    "build": (("build", _NAME, "--no-promote"), frozenset({0}), 2),
    "prove": (
        ("doctor", _NAME, "--check", "pip_check", "--check", "mixed_managers", "--again"),
        frozenset({0, 9}),
        1,
    ),
    "pack": (("image", _NAME), frozenset({0}), 2),
    "promote": (("promote", _NAME), frozenset({0, 8, 9}), 3),
    "roll back": (("rollback", _NAME), frozenset({0, 2}), 2),
    "collect": (("gc", "--unused-for", "0"), frozenset({0}), 2),
    "mend": (("verify", _NAME, "--repair"), frozenset({0}), 1),
}


class WrongError(AssertionError):
    """What must not happen has happened."""


@dataclass
class Chaos:
    """A store in which commands are killed.

    Attributes:
        home: the store.
        temporary: the directory for temporary files of the commands.
        random: what everything is chosen with.
        tell: told of everything that was done.
        kills: how often each command was killed.
    """

    root: Path
    home: Path
    temporary: Path
    commands: Forks
    neighbour: Forks
    random: random.Random
    tell: Say
    kills: Counter[str] = field(default_factory=Counter)
    _seconds: dict[str, float] = field(default_factory=dict)
    _known: dict[Path, tuple[object, bytes]] = field(default_factory=dict)
    _fault: str = ""

    def prepare(self) -> None:
        """Make two releases, so that there is one to go back to, and see how long all takes."""
        for version in _VERSIONS[:2]:
            self._ask_for(version)
            for name in ("lock", "build", "prove", "promote"):
                self._finish(name, strictly=True)
        self._finish("pack", strictly=True)
        for name in ("mend", "collect"):
            self._finish(name, strictly=True)
        self._look()

    def go_on(self, kills: int, seconds: float = float("inf")) -> None:
        """Kill so many commands, with a look after each, and at the end let all of them end well.

        Args:
            kills: how many; fewer when the time is over.
            seconds: how long to go on at most, the end not counted.

        Raises:
            WrongError: something is not as it has to be.
        """
        over = threading.Event()
        beside = [
            threading.Thread(target=self._watched, args=(each, over))
            for each in (self._run_program, self._be_a_neighbour)
        ]
        for each in beside:
            each.start()
        try:
            end = time.monotonic() + seconds
            while self.kills.total() < kills and time.monotonic() < end and not self._fault:
                self._round()
        finally:
            over.set()
            for each in beside:
                each.join()
        if self._fault:
            raise WrongError(self._fault)
        self._ask_for(_VERSIONS[-1])
        self._let_leftovers_be_old()
        for name in ("lock", "build", "prove", "pack", "promote", "collect", "mend"):
            self._finish(name, strictly=True)
        if left := [*self._leftovers()]:
            raise WrongError(f"this is left of what was killed: {left}")
        if self._look() != _VERSIONS[-1]:
            raise WrongError("the last lock did not become the release")

    def _round(self) -> None:
        names = [*_COMMANDS]
        [name] = self.random.choices(names, [_COMMANDS[each][2] for each in names])
        if name in ("lock", "build"):
            self._ask_for(self.random.choice(_VERSIONS))
        if name == "build":
            self._finish("lock")
        if name == "mend":
            self._damage()
        after = self.random.uniform(0, self._seconds.get(name, 1.0))
        ended = self._run(name, after)
        if ended.killed:
            self.kills[name] += 1
        else:  # the next kill of it comes earlier, if that took less than it did before
            self._seconds[name] = max(ended.seconds, 0.9 * self._seconds.get(name, 0.0))
        self._look()
        if ended.killed and self.random.random() < _FINISHED:
            self._finish(name)
        if name == "mend":
            self._finish(name)
            if faults := self._faults():
                raise WrongError(f"not mended: {faults}")

    def _run(self, name: str, after: float | None) -> Ended:
        typed, right, _ = _COMMANDS[name]
        ended = self.commands.run(typed, after)
        killed = f", killed after {after:.3f} s" if ended.killed and after is not None else ""
        self.tell(f"{name}: {ended.code} in {ended.seconds:.3f} s{killed}")
        if not ended.killed and ended.code not in right:
            raise WrongError(f"{name} ends with {ended.code}:\n{ended.output[-3000:]}")
        return ended

    def _finish(self, name: str, *, strictly: bool = False) -> None:
        ended = self._run(name, None)
        self._seconds[name] = max(ended.seconds, 0.8 * self._seconds.get(name, 0.0))
        if strictly and ended.code:
            raise WrongError(f"{name} ends with {ended.code}:\n{ended.output[-3000:]}")

    def _look(self) -> str:
        """Return the version of the released program; it works, and verify says what is true."""
        faults = self._faults()
        found = self.commands.run(["verify", _NAME])
        if found.code != (_DAMAGED if faults else 0):
            raise WrongError(
                f"verify ends with {found.code}, and this is damaged: {faults}\n{found.output}"
            )
        if any(each not in found.output for each in faults):
            raise WrongError(f"verify does not name all of {faults}:\n{found.output}")
        version, wanted = self._start(), self._released_version()
        if version != wanted:
            raise WrongError(f"the program is {version}, and {wanted} is released")
        return version

    def _start(self) -> str:
        """Run the released program, and return what it says."""
        done = subprocess.run(
            [self._current / "bin" / _PROGRAM],
            capture_output=True,
            text=True,
            timeout=_LIMIT,
            check=False,
        )
        if done.returncode or done.stderr:
            raise WrongError(f"the program ends with {done.returncode}: {done.stderr}")
        return done.stdout.strip()

    @property
    def _current(self) -> Path:
        [found] = (self.home / "current").glob("elt@*")
        return found

    def _released_digest(self) -> str:
        digest: str = json.loads((self._current / "release.json").read_text())["digest"]
        return digest.removeprefix("sha256:")

    def _released_version(self) -> str:
        lock = json.loads((self.home / "locks" / self._released_digest() / "lock.json").read_text())
        [version] = (each["version"] for each in lock["packages"] if each["name"] == _PROGRAM)
        return str(version)

    def _released_prefix(self) -> Path:
        [found] = (self.home / "prefixes").glob(f"*-{self._released_digest()[:12]}")
        return found

    def _faults(self) -> list[str]:
        """Return the files of the released prefix that are not what conda and pip recorded."""
        return sorted(differing(self._released_prefix(), self._sha256))

    def _sha256(self, path: Path) -> bytes | None:
        """Return the hash of a file; that of one which nobody wrote, moved or touched is known."""
        try:
            found = path.stat()
        except OSError:
            return None
        seen = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
        if self._known.get(path, (None, b""))[0] != seen:
            self._known[path] = (seen, hashlib.sha256(path.read_bytes()).digest())
        return self._known[path][1]

    def _damage(self) -> None:
        """Put another file in place of one that the program does not need."""
        [notes] = self._released_prefix().glob(f"lib/python3*/site-packages/{_NOTES}")
        other = notes.with_name("other")
        other.write_text("damaged\n")
        other.replace(notes)

    def _leftovers(self) -> Iterator[Path]:
        """Yield what killed commands left half-written, or for their own use alone."""
        yield from self.temporary.iterdir()
        for directory, names, files in os.walk(self.home):
            names[:] = [each for each in names if each not in ("prefixes", "pkgs", "roots")]
            here = Path(directory)
            yield from (here / each for each in (*names, *files) if _LEFT.match(each))

    def _let_leftovers_be_old(self) -> None:
        for path in self._leftovers():
            for each in (path, *(path.iterdir() if path.is_dir() else ())):
                os.utime(each, (0.0, 0.0), follow_symlinks=False)

    def _ask_for(self, version: str) -> None:
        path = self.root / "environments" / f"{_NAME}.yml"
        spec = yaml.safe_load(path.read_text())
        spec["dependencies"][-1] = {"pip": [f"{_PROGRAM}=={version}"]}
        write_atomically(path, yaml.safe_dump(spec))

    def _watched(self, what: object, over: threading.Event) -> None:
        """Do something again and again until all is over, or it goes wrong."""
        assert callable(what)
        while not over.is_set() and not self._fault:
            try:
                what()
            except (WrongError, OSError, ValueError) as error:
                self._fault = f"beside the kills: {error!r}"

    def _run_program(self) -> None:
        version = self._start()
        if version not in _VERSIONS:
            raise WrongError(f"the program says {version}")
        time.sleep(_PAUSE)

    def _be_a_neighbour(self) -> None:
        for typed in (("show", _NAME, "--json"), ("relock", _NAME), ("history", _NAME)):
            ended = self.neighbour.run(typed)
            if ended.code:
                raise WrongError(f"{typed} ends with {ended.code}:\n{ended.output[-3000:]}")
            time.sleep(_PAUSE)


def differing(prefix: Path, sha256: Callable[[Path], bytes | None]) -> Iterator[str]:
    """Yield the files below a prefix that are not what conda and pip recorded of them."""
    for record in (prefix / "conda-meta").glob("*.json"):
        for each in json.loads(record.read_text())["paths_data"]["paths"]:
            path = prefix / each["_path"]
            hashed = each.get("sha256_in_prefix") or each.get("sha256")
            seen = hashed and not path.is_symlink() and path.suffix != ".pyc"
            if seen and sha256(path) != bytes.fromhex(hashed):
                yield each["_path"]
    for record in prefix.glob("lib/python3*/site-packages/*.dist-info/RECORD"):
        site = record.parent.parent
        for name, hashed, *_ in csv.reader(record.read_text().splitlines()):
            algorithm, _, value = hashed.partition("=")
            path = Path(os.path.normpath(site / name))
            seen = algorithm == "sha256" and path.suffix != ".pyc"
            if seen and sha256(path) != base64.urlsafe_b64decode(value + "=" * (-len(value) % 4)):
                yield str(path.relative_to(prefix))


@contextlib.contextmanager
def chaos(root: Path, python: Channel, index: IndexServer, seed: int, tell: Say) -> Iterator[Chaos]:
    """Yield a store below `root` in which commands can be killed."""
    channel = Channel(root / "channel")
    make_conda_distribution(channel.root, "tally", "1.0", files={"tally/__init__.py": ""})
    channel.index()
    for version in _VERSIONS:
        files = {
            "gamma/__init__.py": f"def main():\n    print('{version}')\n",
            _NOTES: "as it was made\n",
        }
        scripts = {_PROGRAM: "gamma:main"}
        wheel = make_wheel(root / "wheels", _PROGRAM, version, files=files, entry_points=scripts)
        index.add(wheel)
    minor = "3.11" if list(python.root.glob("*/python-3.11.*")) else "3.12"
    project = make_project(
        root / "project",
        channels=[channel.url, python.url],
        index=index.url,
        conda=["tally"],
        pip=[_PROGRAM],
        policy={"cooldown": "0", "keep-releases": 1},
        environment={"required-checks": ["pip_check", "mixed_managers"], "promote": "manual"},
        pythons=[minor],
    )
    temporary = root / "tmp"
    temporary.mkdir()
    with (
        forks(project.root, root / "commands.log", TMPDIR=str(temporary)) as commands,
        forks(project.root, root / "neighbour.log", TMPDIR=str(temporary)) as neighbour,
    ):
        choices = random.Random(seed)  # noqa: S311  # no secret
        yield Chaos(project.root, project.local_home, temporary, commands, neighbour, choices, tell)


def main() -> int:
    """Kill commands, tell what was killed, and return 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="kill no longer")
    options = parser.parse_args()
    _print(f"seed {options.seed}")
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="elt-env-chaos-") as name,
        pytest.MonkeyPatch.context() as patch,
        running(IndexServer()) as index,
    ):
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", f"{name}/uv")
        python = shared_python_channel(Path(name))
        with chaos(Path(name), python, index, options.seed, _print) as store:
            try:
                store.prepare()
                store.go_on(options.kills, 60 * options.minutes)
            except WrongError as error:
                _print(f"WRONG: {error}")
                return 1
            finally:
                counts = ", ".join(f"{name} {count}" for name, count in store.kills.most_common())
                minutes = (time.monotonic() - started) / 60
                _print(f"{store.kills.total()} kills in {minutes:.1f} minutes: {counts}")
    return 0


def _print(line: str, level: int = logging.INFO, /) -> None:
    sys.stdout.write(f"{marked(line, level)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
