"""The channel: a directory of conda packages with an index."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import rattler
from packaging.requirements import Requirement
from rattler.exceptions import CacheDirError, IoError
from rattler.index import index_fs

from elt_env.conda.host_channel import python_package, wheel_package
from elt_env.conda.host_channel.archive import RECIPE, Entry, PackageInfo, write_package
from elt_env.conda.host_channel.kept import KeptPackages
from elt_env.conda.host_channel.requirements import wanted_extras
from elt_env.conda.rattler_loop import run_within
from elt_env.errors import StorageError, TimeLimitError, ToolError
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say
from elt_env.package.canonical import digest_of, short
from elt_env.python.interpreters import Interpreter
from elt_env.python.wheel import open_wheel
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import remove_tree, sha256_of, sync, write_atomically, writing
from elt_env.runtime.input_files import read_stored

_LOCK_LIMIT = 600.0
_INDEX_LIMIT = 120.0


FORMAT = "1"
"""The directory of a store's host channel, below `host-channel/`. A channel that holds packages
with other meanings lies beside it; the locks of those packages go on finding them there."""


class HostChannel:
    """A conda channel made from this machine's own interpreters and from wheels.

    Several processes may add to it and index it at the same time. A package's file name covers
    everything its bytes depend on, so what is there is never made again.

    Args:
        root: the channel's directory; made when something is added.
        kept: what other channels of this user were made of; None where none is shared.
    """

    def __init__(self, root: Path, kept: KeptPackages | None = None) -> None:
        self._root = root.absolute()
        self._kept = kept
        self._workshop = self._root / ".making"
        self._platform = str(rattler.Subdir.current())

    @property
    def url(self) -> str:
        """The channel's file:// URL, percent-encoded."""
        return self._root.as_uri()

    def found_here(self, package: Package) -> Package:
        """Return a package of a host channel that was moved by where it lies in this one.

        Any other package is returned as it is.
        """
        path = Path(unquote(urlsplit(package.url).path))
        here = self._root.parent.joinpath(*path.parts[-3:])
        of_host_channel = package.url.startswith("file:") and not path.exists()
        return replace(package, url=here.as_uri()) if of_host_channel and here.exists() else package

    def add_interpreter(self, interpreter: Interpreter, say: Say) -> Path:
        """Make the conda package of an interpreter, and python_abi; return the former's path.

        Raises:
            BusyError: another process keeps the channel.
            StorageError: the disk is full or not writable.
            ToolError: this is not Linux, or the interpreter's files cannot be made relocatable.
        """
        if not self._platform.startswith("linux-"):
            raise ToolError(
                f"No conda package can be made of an interpreter on {self._platform}.",
                'Set channel-fallback = "none" and use a conda channel.',
            )
        with self._locked():
            abi = python_package.describe_abi(interpreter.minor)
            self._add(abi, lambda: (), say)
            info = python_package.describe(interpreter, self._platform)
            return self._add(
                info,
                lambda: python_package.entries(interpreter),
                say,
                lambda: python_package.made_of(interpreter),
            )

    def add_wheels(
        self, wheels: Sequence[Package], fetch: Callable[[Package], Path], minor: str, say: Say
    ) -> None:
        """Make the conda packages of wheels that belong together, and of the extras they want.

        Wheels of which all that is there already are not fetched.

        Args:
            wheels: as they are locked.
            fetch: returns the file of one.
            minor: the Python minor, as in `3.11`.
            say: told what is made.

        Raises: as `add_wheel`, and what `fetch` raises.
        """
        content = sorted([each.sha256, str(each.released_at)] for each in wheels)
        digest = digest_of([RECIPE, self._platform, minor, content])
        note = self._root / ".of-wheels" / f"{short(digest)}.json"
        packages = _noted(note)
        if packages and all(zipfile.is_zipfile(self._root / each) for each in packages):
            return
        files = [(fetch(each), each.released_at) for each in wheels]
        made = [path.relative_to(self._root) for path in self._of_wheels(files, minor, say)]
        write_atomically(note, json.dumps([*map(str, made)]))

    def _of_wheels(
        self, wheels: Sequence[tuple[Path, datetime | None]], minor: str, say: Say
    ) -> Iterator[Path]:
        """Make the conda packages of wheels and their extras, and yield the paths."""
        requires: dict[str, list[Requirement]] = {}
        names: dict[Path, str] = {}
        for path, _ in wheels:
            with open_wheel(path) as wheel:
                lines = wheel.metadata.get("requires_dist", [])
                requires[wheel.name] = [Requirement(each) for each in lines]
                names[path] = wheel.name
        extras = wanted_extras(requires, minor)
        for path, released_at in wheels:
            yield from self.add_wheel(path, minor, released_at, say, extras.get(names[path], ()))

    def add_wheel(
        self,
        wheel: Path,
        minor: str,
        released_at: datetime | None,
        say: Say,
        extras: Iterable[str] = (),
    ) -> list[Path]:
        """Make what stands for each extra of a wheel, and its own package; return the paths.

        Args:
            wheel: the file, under the name that carries its tags.
            minor: the Python minor, as in `3.11`.
            released_at: when the index published it; becomes the package's timestamp.
            say: told what is made.
            extras: those that something wants.

        Raises:
            BusyError: another process keeps the channel.
            IntegrityError: the file is not a wheel, or not one for this Python and machine.
            StorageError: the disk is full or not writable.
        """
        made = []
        with self._locked(), open_wheel(wheel) as opened:
            for extra in extras:
                about = wheel_package.describe_extra(opened, extra, minor, self._platform)
                made.append(self._add(about, lambda: (), say))
            info = wheel_package.describe(opened, minor, self._platform, released_at)
            made.append(
                self._add(
                    info,
                    lambda: wheel_package.entries(opened, info, minor),
                    say,
                    lambda: [minor, sha256_of(wheel)],
                )
            )
        return made

    def index(self, say: Say) -> None:
        """Write the index where it does not list exactly the packages that are there.

        Packages that were damaged since they were made are removed; they would stop the indexer.

        Raises:
            BusyError: another process keeps the channel.
            StorageError: the disk is full or not writable.
            TimeLimitError: the indexer does not end.
        """
        with self._locked():
            self._remove_damaged(say)
            states = [(_listed(subdir), _present(subdir)) for subdir in self._subdirs()]
            if all(listed == present for listed, present in states):
                return
            say(f"index {self.url}")
            changed = any(
                listed and listed.get(name, size) != size
                for listed, present in states
                for name, size in present.items()
            )
            self._run_indexer(force=changed)

    def _run_indexer(self, *, force: bool) -> None:
        try:
            run_within(_index(self._root, force=force), _INDEX_LIMIT)
        except (CacheDirError, IoError) as error:
            raise StorageError(
                f"The host channel {self._root} cannot be indexed: {error}",
                "Free some space or make the directory writable, then run the same command.",
            ) from error
        except asyncio.TimeoutError as error:
            raise TimeLimitError(
                f"Indexing the host channel {self._root} took longer than {_INDEX_LIMIT:.0f} s.",
                "Run it again when the disk is less busy.",
            ) from error

    def _remove_damaged(self, say: Say) -> None:
        for subdir in self._subdirs():
            for package in subdir.glob("*.conda"):
                if not zipfile.is_zipfile(package):
                    say(f"remove {package}, which is damaged")
                    package.unlink()

    def _add(
        self,
        info: PackageInfo,
        entries: Callable[[], Iterable[Entry]],
        say: Say,
        made_of: Callable[[], object] | None = None,
    ) -> Path:
        """Make a package where it is not there, of those that are kept where `made_of` tells."""
        package = self._root / info.subdir / f"{info.stem}.conda"
        if zipfile.is_zipfile(package):
            return package
        of = digest_of([RECIPE, repr(info), made_of()]) if made_of and self._kept else ""
        try:
            with writing(self._root):
                self._workshop.mkdir()
                made = self._taken(package.name, of, say)
                if made is None:
                    say(f"pack {info.name} {info.version} as {info.subdir}/{package.name}")
                    made = write_package(info, entries(), self._workshop)
                    if of and self._kept:
                        self._kept.keep(made, of)
                sync(made)
                made.replace(package)
                sync(package.parent)
        finally:
            remove_tree(self._workshop)
        return package

    def _taken(self, name: str, made_of: str, say: Say) -> Path | None:
        found = self._kept.take(name, made_of, self._workshop) if made_of and self._kept else None
        if found:
            say(f"take {name}, which was packed before")
        return found

    def _subdirs(self) -> Iterable[Path]:
        return (self._root / "noarch", self._root / self._platform)

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Keep the channel for this process; clear what a killed one left half-made."""
        with file_lock(
            self._root / ".lock",
            _LOCK_LIMIT,
            f"keeping the host channel {self._root}",
            "Wait for it to end, or end it, then run the same command.",
        ):
            with writing(self._root):
                for subdir in self._subdirs():
                    subdir.mkdir(parents=True, exist_ok=True)
            remove_tree(self._workshop)
            yield


def _noted(note: Path) -> list[str]:
    """Return the packages that were made of some wheels before, as far as that is known."""
    try:
        return [str(each) for each in json.loads(read_stored(note))]
    except (FileNotFoundError, ValueError, TypeError):
        return []


def _listed(subdir: Path) -> dict[str, int] | None:
    """Return the packages of a subdir's index with their sizes; None where there is no index."""
    try:
        repodata = json.loads(read_stored(subdir / "repodata.json"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    return {name: record["size"] for name, record in repodata["packages.conda"].items()}


def _present(subdir: Path) -> dict[str, int]:
    return {package.name: package.stat().st_size for package in subdir.glob("*.conda")}


async def _index(root: Path, *, force: bool) -> None:
    await index_fs(root, write_zst=False, write_shards=False, force=force)
