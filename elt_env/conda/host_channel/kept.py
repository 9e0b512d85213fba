"""Packages that were packed before, in the caches that the projects of a user share."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path

from elt_env.errors import StorageError
from elt_env.project.cache_home import CacheHome
from elt_env.runtime.files import sha256_of
from elt_env.store.kept_files import KeptFiles
from elt_env.store.last_use import mark_used


class KeptPackages:
    """Archives of packed packages by their sha256, which a signed note has for what each is of.

    Args:
        caches: where they are.
    """

    def __init__(self, caches: CacheHome) -> None:
        self._caches = caches
        self._files = KeptFiles(caches.path / "conda" / "archives")

    def take(self, name: str, made_of: str, folder: Path) -> Path | None:
        """Return a copy of a package in `folder`; None where there is none that is whole.

        Args:
            name: of the archive.
            made_of: a digest of all that its bytes depend on.
            folder: where to.
        """
        note = self._note(made_of)
        sha256 = self._caches.read(note)
        try:
            mark_used(note)
            kept = self._files.find(name, sha256.decode()) if sha256 else None
            return shutil.copyfile(kept, folder / name) if kept else None
        except OSError:  # it is packed then
            return None

    def keep(self, package: Path, made_of: str) -> None:
        """Let other projects have a package; where that is not possible, they pack their own."""
        if not self._caches.secret():
            return
        with contextlib.suppress(StorageError):
            sha256 = sha256_of(package)
            with self._files.adding(package.name, sha256) as part:
                shutil.copyfile(package, part)
            self._caches.keep(self._note(made_of), sha256.encode())

    def _note(self, made_of: str) -> Path:
        return self._caches.path / "sealed" / f"packed-{made_of.removeprefix('sha256:')}"
