"""One package has a new version: what the daemon does until its environment is released."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from benchmarks.side_by_side import LIMIT
from elt_env.errors import ToolError
from elt_env.package.target import Target
from elt_env.release.store import ReleaseStore
from elt_env.runtime.files import write_atomically
from elt_env.store.locks import Store
from tests.support.commands import Site, make_site
from tests.support.daemon import daemon, wait_for
from tests.support.index_server import IndexServer
from tests.support.real_spec import copy_project
from tests.support.wheels import make_wheel

_NAME = "elt-benchmark"
_POLICY = """\
extra-indexes = ["{index}"]
watch-interval = "0"
relock-schedule = ""
gc-schedule = ""
"""


class Watched:
    """A copy of a project whose spec asks for one package more, of an index of this machine.

    Args:
        project: the directory of the project.
        target: what is watched.
        index: where the package is.
    """

    def __init__(self, project: Path, target: Target, index: IndexServer) -> None:
        self._project, self._target, self._index = project, target, index
        self._count = 0

    def prepare(self, place: Path) -> None:
        """Release the environment once, by hand.

        Raises:
            ToolError: it is not released.
        """
        root = place / "watched"
        self._site = site = make_site(root, root / "project")
        copy_project(self._project, site.directory)
        policy, spec = site.directory / "pyproject.toml", self._spec(site)
        head = "[tool.elt-env]\n"
        text = policy.read_text(encoding="utf-8")
        write_atomically(
            policy, text.replace(head, head + _POLICY.format(index=self._index.url), 1)
        )
        asked = spec.read_text(encoding="utf-8").rstrip()
        write_atomically(spec, f"{asked}\n      - {_NAME}\n")
        self._publish(place)
        done = site.execute(f"{self._target.environment}_build", self._target.python)
        if not self._number(site):
            raise ToolError(done.stderr[-2000:], "Repair the benchmark.")

    def release(self, place: Path) -> int:
        """Publish another version, and wait until a daemon has released it."""
        site = self._site
        before = self._number(site)
        self._publish(place)
        with daemon(site) as process:
            wait_for(lambda: self._number(site) > before, "the release", LIMIT)
            os.kill(process.pid, signal.SIGTERM)  # it ends what it has started
            process.wait(LIMIT)
        return 0

    def _spec(self, site: Site) -> Path:
        return site.directory / "environments" / f"{self._target.environment}.yml"

    def _publish(self, place: Path) -> None:
        self._count += 1
        self._index.add(make_wheel(place, _NAME, f"1.{self._count}"))

    def _number(self, site: Site) -> int:
        current = ReleaseStore(Store(site.home)).current(self._target.name)
        return current.number if current else 0
