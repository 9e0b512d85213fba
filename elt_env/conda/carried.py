"""The distributions that conda packages carry, and all that they hold, read from many archives."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import rattler

from elt_env.conda import rattler_errors
from elt_env.conda.distributions import (
    ARCHIVE_ERRORS,
    METADATA_FILES,
    distributions_in,
    listed_hashes,
    listed_paths,
    open_archive,
)
from elt_env.conda.port import Carried
from elt_env.conda.rattler_loop import finish
from elt_env.lockfile.document import Package
from elt_env.runtime.files import write_atomically, writing
from elt_env.runtime.input_files import read_stored

_Result = TypeVar("_Result")
_AT_ONCE = 16


class CarriedStore:
    """Remembers what archives carry, by their sha256.

    Args:
        directory: may be removed at any time.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def read(self, sha256: str) -> tuple[Carried, ...] | None:
        """Return what an archive carries, or None where that is not known yet."""
        try:
            found = json.loads(read_stored(self._path(sha256)))
            return tuple(Carried(*each) for each in found)
        except (OSError, ValueError, TypeError):
            return None

    def write(self, sha256: str, carried: Iterable[Carried]) -> None:
        """Remember what an archive carries."""
        rows = [[each.name, each.version, each.metadata] for each in carried]
        with writing(self._directory):
            self._path(sha256).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self._path(sha256), json.dumps(rows))

    def _path(self, sha256: str) -> Path:
        return self._directory / sha256[:2] / f"{sha256}.json"


async def carried_by(
    packages: Sequence[Package], store: CarriedStore, client: rattler.Client
) -> tuple[tuple[Carried, ...], ...]:
    """Return the distributions in conda packages, read from the archives themselves.

    Raises:
        OSError, ValueError, LookupError, TypeError: an archive cannot be had or read.
    """

    async def read(package: Package) -> tuple[Carried, ...]:
        known = store.read(package.sha256)
        if known is None:
            known = await _read(package, client)
            store.write(package.sha256, known)
        return known

    return await _of_each(packages, read)


async def contents_of(
    packages: Sequence[Package], client: rattler.Client
) -> tuple[Mapping[str, str], ...]:
    """Return by path the sha256 of what each archive holds, "" where it is not told.

    Raises:
        OSError, ValueError, LookupError, TypeError: an archive cannot be had or read.
    """

    async def read(package: Package) -> Mapping[str, str]:
        return await listed_hashes(await open_archive(package.url, client))

    return await _of_each(packages, read)


def read_archives(
    packages: Sequence[Package], work: Coroutine[Any, Any, _Result], limit: float
) -> _Result:
    """Return what is read of archives within so many seconds.

    Raises:
        NetworkError: one cannot be had or read.
        TimeLimitError: that took longer.
    """
    try:
        return finish(work, "conda archive look-up", limit)
    except ARCHIVE_ERRORS as error:
        raise rattler_errors.unreadable(error, [each.url for each in packages]) from error


async def _of_each(
    packages: Sequence[Package], read: Callable[[Package], Awaitable[_Result]]
) -> tuple[_Result, ...]:
    """Return what is read of each package, of some at once."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(package: Package) -> _Result:
        async with gate:
            return await read(package)

    return tuple(await asyncio.gather(*map(one, packages)))


async def _read(package: Package, client: rattler.Client) -> tuple[Carried, ...]:
    archive = await open_archive(package.url, client)
    paths = await listed_paths(archive)
    metadata = {
        each: found[0]
        for each in paths
        if PurePosixPath(each).name in METADATA_FILES and (found := distributions_in([each]))
    }
    texts = await archive.read_files(metadata) if metadata else {}
    carried = {
        found: (texts.get(path) or b"").decode("utf-8", errors="replace")
        for path, found in metadata.items()
    }
    named = distributions_in(paths)
    return tuple(Carried(*each, metadata=_head(carried.get(each, ""))) for each in named)


def _head(metadata: str) -> str:
    """Return the fields of METADATA without the description that may follow."""
    return metadata.replace("\r\n", "\n").partition("\n\n")[0]
