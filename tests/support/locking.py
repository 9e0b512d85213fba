"""Somewhere to lock: a channel, an index and a project that a test fills as it needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from elt_env.lock.make import Locked, lock
from elt_env.machine.platform import target_here
from elt_env.package.target import Target
from elt_env.tools import Tools
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_distribution
from tests.support.index_server import IndexServer
from tests.support.project import ENVIRONMENT, make_project, toolbox_of
from tests.support.said import Said
from tests.support.wheels import make_wheel

PYTHON = "3.11"
CONDA = ("pandas",)
PIP = ("dbt", "click>=7")
LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.utc)


@dataclass
class Scene:
    """What a lock is made of, and where it goes.

    Attributes:
        root: a directory for the project and whatever else is made.
        channel: holds a Python without content; what is added is indexed before the next lock.
        channel_url: what the spec names as its channel; None means the channel's directory.
        index_url: what the policy names as the index; None means the index server's.
        said: every line that the last lock said, in order.
    """

    root: Path
    channel: Channel
    index: IndexServer
    channel_url: str | None = None
    index_url: str | None = None
    said: Said = field(default_factory=Said)
    _index_is_old: bool = False

    def offer_conda(
        self,
        name: str,
        *versions: str,
        depends: Sequence[str] = ("python",),
        package: str | None = None,
        released: datetime = LONG_AGO,
    ) -> None:
        """Offer conda packages that each carry the distribution `name`."""
        for version in versions:
            make_conda_distribution(
                self.channel.root,
                name,
                version,
                depends=depends,
                package=package,
                timestamp=released,
            )
        self._index_is_old = True

    def offer_pip(
        self,
        name: str,
        *versions: str,
        requires: Sequence[str] = (),
        released: datetime = LONG_AGO,
    ) -> list[Path]:
        """Offer wheels on the index, and return them."""
        directory = self.root / "wheels"
        wheels = [make_wheel(directory, name, each, requires=requires) for each in versions]
        for wheel in wheels:
            self.index.add(wheel, uploaded=released)
        return wheels

    def offer_both(self, name: str, *versions: str) -> None:
        """Offer the same distribution from conda and from pip."""
        self.offer_conda(name, *versions)
        self.offer_pip(name, *versions)

    def toolbox(
        self,
        *,
        conda: Sequence[str] = (),
        pip: Sequence[str] = (),
        policy: Mapping[str, Any] | None = None,
        pythons: Sequence[str] = (PYTHON,),
    ) -> Tools:
        """Write the project with this spec and policy, and return its tools."""
        if self._index_is_old:
            self.channel.index()
            self._index_is_old = False
        project = make_project(
            self.root / "project",
            channels=[self.channel_url or self.channel.url],
            index=self.index_url or self.index.url,
            conda=conda,
            pip=pip,
            policy=policy,
            pythons=pythons,
        )
        return toolbox_of(project)

    def lock(
        self,
        *,
        conda: Sequence[str] = (),
        pip: Sequence[str] = (),
        policy: Mapping[str, Any] | None = None,
        upgrade: tuple[str, ...] | None = (),
    ) -> Locked:
        """Write the project with this spec and policy, and lock it."""
        return self.lock_with(self.toolbox(conda=conda, pip=pip, policy=policy), upgrade=upgrade)

    def lock_with(self, toolbox: Tools, *, upgrade: tuple[str, ...] | None = ()) -> Locked:
        """Lock an open project."""
        self.said.clear()
        return lock(target_of(toolbox), toolbox, self.said, upgrade=upgrade)

    @property
    def told(self) -> str:
        """Everything that the last lock said."""
        return "\n".join(self.said)


def fill(scene: Scene) -> None:
    """Offer what `lock_example` locks: conda's newest dateutil does not suit dbt."""
    scene.offer_both("dateutil", "2.9", "4.0")
    scene.offer_both("six", "1.16")
    scene.offer_conda("pandas", "1.0", "2.0", depends=["python", "dateutil", "six"])
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3", "six", "agate"])
    scene.offer_pip("agate", "1.7", requires=["six"])
    scene.offer_pip("click", "8.0")


def lock_example(
    scene: Scene,
    *,
    conda: Sequence[str] = CONDA,
    pip: Sequence[str] = PIP,
    policy: Mapping[str, Any] | None = None,
    upgrade: tuple[str, ...] | None = (),
) -> Locked:
    """Lock the example of a scene that `fill` filled, with these changes."""
    return scene.lock(conda=conda, pip=pip, policy=policy, upgrade=upgrade)


def target_of(_: Tools) -> Target:
    """Return the target that a scene locks."""
    return target_here(ENVIRONMENT, PYTHON)


def versions_of(locked: Locked) -> dict[str, str]:
    """Return the version of every locked package but Python, by name."""
    return {each.name: each.version for each in locked.lock.packages if each.name != "python"}
