"""Every way in which this project downloads something, tried on servers of a test."""

from __future__ import annotations

import hashlib
import venv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.conda.rattler_link import RattlerLinker
from elt_env.conda.rattler_tool import Rattler
from elt_env.index.download import Downloads
from elt_env.index.package_index import PackageIndex
from elt_env.machine.indexes import Indexes, parse_index
from elt_env.pip import InstallRequest
from elt_env.pip.pip_tool import Pip
from elt_env.pip.uv_tool import Uv
from tests.support.channel import ChannelServer
from tests.support.index_server import IndexServer
from tests.support.resolving import ask
from tests.support.solving import request
from tests.support.wheels import make_wheel

_LIMIT = 120.0

# Two programs try again for a while before they give up.
WAYS = (
    *("rattler", "rattler link", "download", "pages"),
    pytest.param("uv", marks=pytest.mark.slow),
    pytest.param("pip", marks=pytest.mark.slow),
)


class Downloading:
    """A channel and an index, and every way of this project to ask them."""

    def __init__(self, channel: ChannelServer, index: IndexServer, root: Path) -> None:
        self.channel = channel
        self.index = index
        self.wheel = make_wheel(root, "app", "1.0")
        index.add(self.wheel)
        self._root = root

    @property
    def requests(self) -> int:
        return sum((self.channel.requests + self.index.requests).values())

    def ways(self) -> dict[str, Callable[[], object]]:
        return {
            "rattler": self.solve,
            "rattler link": self.link,
            "uv": self.resolve,
            "pip": self.install,
            "download": self.download,
            "pages": self.look,
        }

    def solve(self) -> object:
        conda = Rattler(self._root / "conda", None, _LIMIT)
        return conda.solve(request(self.channel.url, "lib", "python=3.11"))

    def link(self) -> object:
        cache = self._root / "other"
        asked = request(self._local(), "lib", "python=3.11")
        known = Rattler(cache, None, _LIMIT).solve(asked)
        local, served = self._local(), self.channel.url
        moved = tuple(replace(each, url=each.url.replace(local, served)) for each in known)
        RattlerLinker(cache, _LIMIT).link(moved, self._root / "linked", (), print)
        return None

    def _local(self) -> str:
        return self.channel.root.as_uri()

    def resolve(self) -> object:
        return Uv(self._indexes(), _LIMIT).resolve(ask("app"), print)

    def install(self) -> object:
        prefix = self._root / "prefix"
        venv.create(prefix, with_pip=False, symlinks=True)
        sha256 = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        asked = InstallRequest(f"app==1.0 --hash=sha256:{sha256}\n", prefix, self._indexes())
        return Pip(_LIMIT).install(asked, print)

    def download(self) -> object:
        sha256 = hashlib.sha256(self.wheel.read_bytes()).hexdigest()
        downloads = Downloads(self._root / "wheels", Indexes())
        return downloads.fetch(f"{self.index.base_url}/files/{self.wheel.name}", sha256)

    def look(self) -> object:
        pages = PackageIndex(Indexes(), self._root / "pages")
        return pages.look({"app": self.index.url})

    def _indexes(self) -> Indexes:
        return Indexes(parse_index(self.index.url))
