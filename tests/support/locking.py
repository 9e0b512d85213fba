"""Somewhere to lock: a channel, an index and a project that a test fills as it needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from elt_env.model.target import Target, parse_target
from elt_env.stages.lock import Locked, lock
from elt_env.tools.toolbox import Toolbox
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_distribution, make_conda_package
from tests.support.index_server import IndexServer
from tests.support.project import make_project, toolbox_of
from tests.support.wheels import make_wheel

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


@dataclass
class Scene:
    """What a lock is made of and where it goes.

    Attributes:
        root: a directory for the project and whatever else a test writes.
        channel_url: what the spec names as its channel; None means the channel's directory.
        index_url: what the policy names as the index; None means the index server's.
        said: every line that a lock said, in order.
    """

    root: Path
    channel: Channel
    index: IndexServer
    channel_url: str | None = None
    index_url: str | None = None
    said: list[str] = field(default_factory=list)

    def offer_python(self, *versions: str) -> None:
        """Offer conda packages named python, which hold nothing."""
        for version in versions:
            make_conda_package(self.channel.root, "python", version, subdir="linux-64")
        self.channel.index()

    def offer_conda(self, name: str, *versions: str, **options: Any) -> None:
        """Offer conda packages, each with the Python distribution of its name."""
        for version in versions:
            make_conda_distribution(self.channel.root, name, version, timestamp=LONG_AGO, **options)
        self.channel.index()

    def offer_pip(self, name: str, *versions: str, requires: Sequence[str] = ()) -> None:
        """Offer wheels on the index."""
        for version in versions:
            self.index.add(make_wheel(self.root / "wheels", name, version, requires=requires))

    def toolbox(self, **options: Any) -> Toolbox:
        """Write the project, see `make_project`, and return its tools."""
        project = make_project(
            self.root / "project",
            channels=[self.channel_url or self.channel.url],
            index=self.index_url or self.index.url,
            **options,
        )
        return toolbox_of(project)

    def lock(self, *, upgrade: tuple[str, ...] | None = (), **options: Any) -> Locked:
        """Write the project, see `make_project`, and lock it for Python 3.11."""
        return self.lock_with(self.toolbox(**options), upgrade=upgrade)

    def lock_with(self, toolbox: Toolbox, *, upgrade: tuple[str, ...] | None = ()) -> Locked:
        """Lock an open project for Python 3.11; `said` then holds what this lock said."""
        self.said.clear()
        return lock(target_of(toolbox), toolbox, self.said.append, upgrade=upgrade)

    @property
    def told(self) -> str:
        """Everything that the last lock said."""
        return "\n".join(self.said)


def target_of(toolbox: Toolbox) -> Target:
    """Return the target that a scene locks."""
    return parse_target("elt@3.11", toolbox.conda.platform())


def versions_of(locked: Locked) -> dict[str, str]:
    """Return the version of every locked package by name."""
    return {each.name: each.version for each in locked.lock.packages}
