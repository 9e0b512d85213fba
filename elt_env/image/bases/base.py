"""The base of an image, and its record from one image and one project to the next."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError, StorageError
from elt_env.image.oci.layer import Compression
from elt_env.image.oci.layout import Layout
from elt_env.image.record import FileState
from elt_env.image.spec import Descriptor, Layer
from elt_env.machine.process import Say
from elt_env.package.canonical import digest_of, short
from elt_env.project.cache_home import CacheHome
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored
from elt_env.store.last_use import mark_used

_WAIT = "Wait for it or end it, then run the same command; or raise tool-limit."
_AGE = 7 * 86400.0  # seconds; a project that begins has the updates of the system until then
FORMAT = 1
"""Version of how bases are made; a change of their bytes raises it."""

Kind = Literal["debian", "host", "layout", "archive", "registry"]


@dataclass(frozen=True)
class Base:
    """The lowest layers of an image.

    Attributes:
        said: in a line, which base it is and of what.
        layers: the lowest first; their blobs are in the layout, verified.
        env: the variables of the base's config, as `NAME=value`.
        packages: as in `libc6 2.36-9+deb12u14`, sorted; empty where it cannot be known.
    """

    kind: Kind
    said: str
    layers: tuple[Layer, ...]
    env: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


@dataclass(frozen=True)
class Request:
    """What a base is made for, and how.

    Attributes:
        platform: the conda platform of what has to run on it, as in `linux-64`.
        layout: gets the blobs.
        compression: of the layers that are written.
        limit: seconds that a tool may take.
    """

    platform: str
    layout: Layout
    compression: Compression
    limit: float
    say: Say


@dataclass(frozen=True)
class BuiltBase:
    """A base that was made, and the files it was made of: while they stay, it stays."""

    base: Base
    sources: frozenset[Path] = frozenset()


@dataclass(frozen=True)
class _Kept:
    """A record.

    Attributes:
        blobs: those of the layers when they were written or last read whole.
        sources: the files it was made of, when they were read.
    """

    base: Base
    blobs: tuple[FileState, ...]
    sources: Mapping[str, FileState] = field(default_factory=dict)


_kept: TypeAdapter[_Kept] = TypeAdapter(_Kept)


class BaseRecords:
    """The bases that were made for one layout, a record for each question that they answer."""

    def __init__(self, directory: Path, layout: Layout, limit: float) -> None:
        """Keep records in `directory`; wait at most `limit` seconds for another process."""
        self._directory = directory
        self._layout = layout
        self._limit = limit

    def recall(
        self, kind: Kind, question: object, make: Callable[[], BuiltBase], *, anew: bool
    ) -> Base:
        """Return the base that was made for `question`, or else make it and remember it.

        It is made where nothing is remembered, where a source has changed, where a blob is gone
        or damaged, and where `anew` says so. Of several processes one makes it.

        Raises:
            BusyError: another process is still making it at the time limit.
            StorageError: the disk is full or not writable.
            And what `make` raises; then what was remembered stays.
        """
        path = self._directory / f"{kind}-{short(digest_of([FORMAT, question]))}.json"
        with file_lock(path.with_suffix(".lock"), self._limit, "making a base", _WAIT):
            known = None if anew else self._known(path)
            if known is not None:
                return known
            made = make()
            self._keep(path, made.base, made.sources)
            return made.base

    def _known(self, path: Path) -> Base | None:
        mark_used(path)
        try:
            kept = _kept.validate_json(read_stored(path))
            same = all(FileState.of(Path(each)) == seen for each, seen in kept.sources.items())
        except (OSError, ValidationError):
            return None
        if not same or not all(map(self._layout.has, _blobs(kept.base))):
            return None
        if self._seen(kept.base) == kept.blobs:
            return kept.base
        if not all(map(self._layout.intact, _blobs(kept.base))):
            return None
        self._keep(path, kept.base, frozenset(map(Path, kept.sources)))
        return kept.base

    def _keep(self, path: Path, base: Base, sources: frozenset[Path]) -> None:
        kept = _Kept(
            base,
            self._seen(base),
            {str(each): FileState.of(each) for each in sorted(sources)},
        )
        write_atomically(path, _kept.dump_json(kept, indent=1) + b"\n")

    def _seen(self, base: Base) -> tuple[FileState, ...]:
        return tuple(FileState.of(self._layout.blob_path(each.digest)) for each in _blobs(base))


def blobs_of_record(path: Path) -> set[str]:
    """Return the digests of the blobs of the base that a record is about; none where damaged."""
    try:
        kept = _kept.validate_json(read_stored(path))
    except (OSError, ValidationError):
        return set()
    return {each.digest for each in _blobs(kept.base)}


def _blobs(base: Base) -> tuple[Descriptor, ...]:
    return tuple(each.blob for each in base.layers)


@dataclass(frozen=True)
class _Shared:
    """A base, and when it was made, in seconds since the epoch."""

    base: Base
    at: float


_shared: TypeAdapter[_Shared] = TypeAdapter(_Shared)


class SharedBases:
    """The bases that the projects of a user share: a layout, and a record for each question.

    A record is signed, and names its blobs by their digest.
    """

    def __init__(self, caches: CacheHome) -> None:
        self._caches = caches
        self._layout = Layout(caches.path / "bases")

    def take(self, name: str, layout: Layout) -> Base | None:
        """Return a base of the last days, its blobs copied into `layout`; None: there is none.

        Raises:
            StorageError: the disk of the layout is full or not writable.
        """
        path = self._layout.path / name
        mark_used(path)
        try:
            kept = _shared.validate_json(self._caches.read(path) or b"")
        except ValidationError:
            return None
        if not 0 <= time.time() - kept.at < _AGE:
            return None
        for each in kept.base.layers:
            mark_used(self._layout.blob_path(each.blob.digest))
            with contextlib.suppress(IntegrityError):
                layout.take(self._layout, each.blob)
        whole = all(layout.intact(each.blob) for each in kept.base.layers)
        return kept.base if whole else None

    def keep(self, name: str, base: Base, layout: Layout) -> None:
        """Let other projects have a base; where that is not possible, they make their own."""
        data = _shared.dump_json(_Shared(base, time.time()))
        with contextlib.suppress(IntegrityError, StorageError):
            for each in base.layers:
                self._layout.take(layout, each.blob)
            self._caches.keep(self._layout.path / name, data)
