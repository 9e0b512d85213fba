"""An index that a test fills, and the resolvers before it."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from elt_env.index.download import Downloads
from elt_env.lockfile.document import Package
from elt_env.machine.indexes import Indexes, parse_index
from elt_env.pip import Resolver, ResolveRequest
from elt_env.pip.choosers import index_resolver
from elt_env.pip.direct_wheels import DirectWheels
from elt_env.pip.port import Resolved
from elt_env.pip.uv_tool import Uv
from tests.support.index_server import IndexServer
from tests.support.wheels import make_sdist, make_wheel

OLD = datetime(2024, 6, 1, tzinfo=timezone.utc)
_LIMIT = 120.0


def ask(*requirements: str, **options: object) -> ResolveRequest:
    """Return a request for Python 3.11.5; `options` are the fields of ResolveRequest."""
    return ResolveRequest(requirements, "3.11.5", **options)  # type: ignore[arg-type]


def uv_at(url: str, limit: float = _LIMIT) -> Uv:
    """Return uv with one index, whose URL may carry credentials."""
    return Uv(Indexes(parse_index(url)), limit)


def tell(line: str, level: int = logging.INFO, /) -> None:
    """Print what a resolver says; one whose place another takes is a failure here."""
    assert "the answer of uv is taken" not in line
    sys.stdout.write(f"{level} {line}\n")


def resolver_with(name: str, indexes: Indexes, cache: Path, limit: float = _LIMIT) -> Resolver:
    """Return one of the resolvers that choose from an index made for them."""
    uv, downloads = Uv(indexes, limit), Downloads(cache / "files", indexes)
    wheels = DirectWheels(downloads, cache / "builds", cache / "sdists", uv, limit)
    return index_resolver(name, indexes, cache / "pages", downloads, wheels, limit)


@dataclass(frozen=True)
class Shelf:
    """An index, the directory in which its files are made, and the name of the resolver."""

    index: IndexServer
    root: Path
    resolver: str = "uv"

    def wheel(
        self,
        name: str,
        version: str,
        *,
        requires: Sequence[str] = (),
        requires_python: str | None = None,
        extras: Mapping[str, Sequence[str]] | None = None,
        tag: str = "py3-none-any",
        uploaded: datetime = OLD,
    ) -> Path:
        """Offer a wheel, and return it."""
        path = make_wheel(
            self.root,
            name,
            version,
            requires=requires,
            requires_python=requires_python,
            extras=extras,
            tag=tag,
        )
        self.index.add(path, uploaded=uploaded)
        return path

    def sdist(self, name: str, version: str) -> Path:
        """Offer an sdist, and return it."""
        path = make_sdist(self.root, name, version)
        self.index.add(path, uploaded=OLD)
        return path

    def tool(self, *extra: str, url: str = "", limit: float = _LIMIT) -> Resolver:
        """Return the resolver with this index, at another URL or after further ones maybe."""
        further = tuple(map(parse_index, extra))
        indexes = Indexes(parse_index(url or self.index.url), further)
        if self.resolver == "uv":
            return Uv(indexes, limit)
        return resolver_with(self.resolver, indexes, self.root / "cache", limit)

    def resolve(self, *requirements: str, **options: object) -> tuple[Resolved, ...]:
        """Return the resolver's answer; `options` are the fields of ResolveRequest."""
        return self.tool().resolve(ask(*requirements, **options), tell)

    def versions(self, *requirements: str, **options: object) -> dict[str, str]:
        """Return the version of everything in the resolver's answer, by name."""
        return {each.name: each.version for each in self.resolve(*requirements, **options)}

    def files(self, *requirements: str, **options: object) -> tuple[Package, ...]:
        """Return the files of the resolver's answer."""
        tool, request = self.tool(), ask(*requirements, **options)
        return tool.files(tool.resolve(request, tell), request, tell)
