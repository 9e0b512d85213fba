"""A look of the sensor at 1,000 packages of which nothing is new, on an index of this machine."""

from __future__ import annotations

import urllib.request
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

from benchmarks.index_server import PROJECTS, VERSIONS, file_name, project
from elt_env.errors import ToolError
from elt_env.lockfile.document import Lock, Package
from elt_env.machine.process import unheard
from elt_env.project.settings import open_project
from elt_env.runtime.files import write_atomically
from elt_env.tools import open_tools
from elt_env.watch.decide import Tick, watcher_of
from elt_env.watch.releases import look_at_releases
from elt_env.watch.state import TargetState

_MOMENT = datetime(2026, 1, 1, tzinfo=timezone.utc)
_LIMIT = 600.0  # seconds
_POLICY = """[tool.elt-env]
home = ".elt_env"
cache-home = "project"
index = "{index}"
warehouse = false
watch-packages = "all"
[tool.elt-env.environments.{environment}]
spec = "elt.yml"
pythons = ["{python}"]
"""
_SPEC = "name: elt\nchannels: [conda-forge]\ndependencies: [python, pip]\n"


class Sensor:
    """A project whose current lock has the newest file of each project of an index.

    Args:
        place: a new directory for the project.
        like: a lock, whose conda half it has.
        server: the URL of the index's server.
    """

    def __init__(self, place: Path, like: Lock, server: str) -> None:
        self._server, self._place = server, place
        self._target = like.target
        index = f"{server}/simple"
        write_atomically(
            place / "pyproject.toml", _POLICY.format(index=index, **vars(self._target))
        )
        write_atomically(place / "elt.yml", _SPEC)
        store = open_tools(open_project(place), self._target.environment).store
        lock = self._lock(like, index)
        store.write_lock(lock)
        store.set_current(self._target, lock.digest, _MOMENT)

    def _lock(self, like: Lock, index: str) -> Lock:
        newest = VERSIONS - 1
        locked = [
            Package(
                manager="pip",
                name=project(number),
                version=f"1.{newest}",
                url=f"{self._server}/files/{file_name(number, newest)}",
                sha256="a" * 64,
                index=index,
            )
            for number in range(PROJECTS)
        ]
        return replace(like, packages=(*like.conda, *locked), indexes=(index,))

    def tick(self) -> int:
        """Look at every package as the sensor does; return the bytes that were received.

        Raises:
            ToolError: something was new.
        """
        before = self._sent()
        watcher = watcher_of(
            open_tools(open_project(self._place), self._target.environment),
            self._target.environment,
            Tick(_LIMIT),
            unheard,
        )
        outcome = look_at_releases(self._target, TargetState(), watcher)
        if f"nothing new for what is locked ({PROJECTS} packages" not in outcome.told:
            raise ToolError(f"The sensor says: {outcome.told}", "Repair the benchmark.")
        return self._sent() - before

    def _sent(self) -> int:
        with urllib.request.urlopen(f"{self._server}/sent", timeout=_LIMIT) as answer:  # noqa: S310
            return int(answer.read())
