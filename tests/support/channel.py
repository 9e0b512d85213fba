"""A conda channel in a directory, and a server that serves one on 127.0.0.1."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rattler.index import index_fs

from tests.support.conda_packages import make_conda_distribution, make_conda_package
from tests.support.loopback import (
    NONSENSE,
    NOT_FOUND,
    SERVER_ERROR,
    LoopbackServer,
    Reply,
    corrupted,
)

__all__ = [
    "Channel",
    "ChannelServer",
    "Fault",
    "index_channel",
    "make_conda_distribution",
    "make_conda_package",
]

Fault = Literal["404", "500", "nonsense", "corrupt-packages", "slow"]


def index_channel(root: Path) -> None:
    """Write the repodata of every subdir of a channel anew, from its archives."""
    (root / "noarch").mkdir(parents=True, exist_ok=True)
    asyncio.run(_index(root))
    for repodata in root.glob("*/repodata.json"):
        _forget_when_indexed(repodata)


async def _index(root: Path) -> None:
    # force: an archive that was written anew under its old name has another hash.
    await index_fs(root, force=True, write_zst=False, write_shards=False)
    # Without a breath before the loop closes, py-rattler can crash the interpreter at exit.
    await asyncio.sleep(0.2)


def _forget_when_indexed(repodata: Path) -> None:
    """Leave a package's own timestamp as its only date, as in channels that conda-index makes.

    Rattler goes by `indexed_timestamp` where there is one, and every package is then of today.
    """
    content = json.loads(repodata.read_bytes())
    for package in [*content["packages"].values(), *content["packages.conda"].values()]:
        package.pop("indexed_timestamp", None)
    repodata.write_text(json.dumps(content, indent=1), encoding="utf-8")


@dataclass(frozen=True)
class Channel:
    """A channel in the directory `root`."""

    root: Path

    @property
    def url(self) -> str:
        """Its `file://` URL; rattler takes a bare path for a channel's name."""
        return self.root.as_uri()

    def index(self) -> None:
        """Make every archive in it known."""
        index_channel(self.root)

    def linked_copy(self, root: Path) -> Channel:
        """Return a copy that shares the archives' bytes; adding to it leaves this one as it is."""
        shutil.copytree(self.root, root, copy_function=_link_or_copy)
        return Channel(root)


def _link_or_copy(source: str, target: str) -> None:
    # Repodata are rewritten, archives never are.
    if source.endswith(".conda"):
        Path(target).hardlink_to(source)
    else:
        shutil.copyfile(source, target)


class ChannelServer(LoopbackServer):
    """Serves a channel.

    Attributes:
        fault: what is wrong with it at the moment. `404`, `500`, `nonsense` and `slow` concern
            every path; `corrupt-packages` the archives, which stay readable but get another hash.
        patience: seconds that the fault `slow` lets a client wait for each answer.
    """

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.patience = 30.0
        self._root = root
        self._fault: Fault | None = None

    @property
    def url(self) -> str:
        """The channel's URL, without a slash at the end."""
        return f"{self.base_url}/channel"

    @property
    def root(self) -> Path:
        """The directory of the channel."""
        return self._root

    @property
    def fault(self) -> Fault | None:
        """What is wrong with the channel at the moment."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault | None) -> None:
        self._fault = fault
        self.hang = self.patience if fault == "slow" else 0.0

    def answer(self, path: str, headers: Mapping[str, str]) -> Reply:
        """Return a file of the channel, or what the fault makes of it."""
        del headers
        broken = {"404": NOT_FOUND, "500": SERVER_ERROR, "nonsense": NONSENSE}
        if self.fault in broken:
            return broken[self.fault]
        file = self._root / path.removeprefix("/channel/")
        if not file.is_file():
            return NOT_FOUND
        data = file.read_bytes()
        if file.suffix == ".json":
            return Reply(body=data, content_type="application/json")
        return Reply(body=corrupted(data) if self.fault == "corrupt-packages" else data)
