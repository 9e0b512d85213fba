"""A prefix: the directory an environment is installed in, and how far its building has come."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import time
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

from filelock import FileLock, Timeout

from elt_env.errors import BusyError
from elt_env.model.lock import Lock
from elt_env.model.names import normalize
from elt_env.tools.files import remove_tree, write_atomically, writing
from elt_env.tools.process import Say

_MARKER = ".elt-env.json"
_WAIT = 15.0


class Stage(IntEnum):
    """How far the building of a prefix has come; every value is a complete state."""

    ABSENT = 0
    LINKED = 1
    INSTALLED = 2
    READY = 3


class Prefix:
    """The prefix of one lock on this machine.

    A marker inside names the stage it has reached. A step removes the marker before it changes
    anything and writes the next one after everything; a prefix without a marker was interrupted.
    """

    def __init__(self, path: Path, lock: Lock) -> None:
        self.path = path
        self.lock = lock

    @property
    def python(self) -> Path:
        """The interpreter."""
        return self.path / "bin" / "python"

    @property
    def library(self) -> Path:
        """The standard library's directory."""
        return self.path / "lib" / f"python{self.lock.target.python}"

    @property
    def site_packages(self) -> Path:
        """Where distributions are installed (`python_site_packages_path`, CEP 17)."""
        detail = self.lock.python.conda
        stated = detail.python_site_packages_path if detail else None
        return self.path / stated if stated else self.library / "site-packages"

    @property
    def stage(self) -> Stage:
        """The stage that was reached; ABSENT also for a prefix that was interrupted."""
        try:
            content = json.loads((self.path / _MARKER).read_text(encoding="utf-8"))
            stage = Stage[content["stage"]]
            mine = content["digest"] == self.lock.digest
        except (OSError, ValueError, KeyError, TypeError):
            return Stage.ABSENT
        return stage if mine else Stage.ABSENT

    @property
    def ready(self) -> bool:
        """Whether it was sealed."""
        return self.stage is Stage.READY

    @contextlib.contextmanager
    def reaching(self, stage: Stage) -> Iterator[None]:
        """Mark the prefix as interrupted while the block runs, and as at `stage` after it."""
        marker = self.path / _MARKER
        with writing(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            marker.unlink(missing_ok=True)
            yield
            write_atomically(
                marker, json.dumps({"stage": stage.name, "digest": self.lock.digest}) + "\n"
            )

    def wipe(self) -> None:
        """Remove the directory."""
        remove_tree(self.path)

    @contextlib.contextmanager
    def sole_builder(self, limit: float, say: Say) -> Iterator[None]:
        """Let one builder at a time into the block; the others wait.

        Raises:
            BusyError: another one is still at work after `limit` seconds.
        """
        lock_file = self.path.parent / f".{self.path.name}.lock"
        with writing(lock_file):
            lock_file.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(lock_file)
            _acquire(lock, self.path, limit, say)
        try:
            yield
        finally:
            lock.release()

    def installed(self) -> dict[str, list[str]]:
        """Return the versions of every distribution found in site-packages, by name."""
        found: dict[str, list[str]] = {}
        for each in importlib.metadata.distributions(path=[str(self.site_packages)]):
            found.setdefault(normalize(each.metadata["Name"]), []).append(each.version)
        return found


def _acquire(lock: FileLock, path: Path, limit: float, say: Say) -> None:
    deadline = time.monotonic() + limit
    pause = 0.0
    while True:
        try:
            lock.acquire(timeout=pause)
        except Timeout:
            left = deadline - time.monotonic()
            if left <= 0:
                raise BusyError(
                    f"Another process has been building {path} for over {limit:.0f} s.",
                    "Wait for it or end it, then run the same command; or raise busy-limit.",
                ) from None
            say(f"waiting: another process is building {path.name}")
            pause = min(_WAIT, left)
        else:
            return
