"""Bases that the projects of a user share, in the cache of all of them."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from pydantic import TypeAdapter, ValidationError

from elt_env.errors import IntegrityError, StorageError
from elt_env.image.bases.base import Base
from elt_env.image.oci.layout import Layout
from elt_env.project.cache_home import CacheHome, sealed, unsealed
from elt_env.runtime.files import write_atomically
from elt_env.runtime.input_files import read_stored
from elt_env.store.last_use import mark_used

_AGE = 7 * 86400.0  # seconds; a project that begins has the updates of the system until then


@dataclass(frozen=True)
class _Shared:
    """A base, and when it was made, in seconds since the epoch."""

    base: Base
    at: float


_shared: TypeAdapter[_Shared] = TypeAdapter(_Shared)


class SharedBases:
    """A layout, and a record for each question that a base answers.

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
            data = unsealed(name, read_stored(path), self._caches.secret())
            kept = _shared.validate_json(data or b"")
        except (OSError, ValidationError):
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
        secret = self._caches.secret()
        data = _shared.dump_json(_Shared(base, time.time()))
        with contextlib.suppress(IntegrityError, StorageError):
            for each in base.layers:
                self._layout.take(layout, each.blob)
            if secret:
                write_atomically(self._layout.path / name, sealed(name, data, secret))
