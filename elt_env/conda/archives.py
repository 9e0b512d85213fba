"""The archives of conda packages, kept by their sha256."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

import rattler
from rattler.exceptions import InstallerError
from rattler.package_streaming import download_to_writer

from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Package
from elt_env.machine.process import Say
from elt_env.runtime.files import sha256_of
from elt_env.store.kept_files import KeptFiles

_UNSENT = "error sending request"
_AT_ONCE = 8  # more look-ups of names at once stall
_MEGA = 1 << 20
_LARGE = 10 * _MEGA


class Archives:
    """A directory of archives; those of channels on this disk stay where they are.

    Attributes:
        kept: what is looked through before anything is downloaded.
    """

    def __init__(self, root: Path) -> None:
        self.kept = KeptFiles(root)

    async def get(
        self, packages: Sequence[Package], client: rattler.Client, say: Say
    ) -> list[Path]:
        """Return the archive of each package, downloaded where it is not kept whole.

        Raises:
            IntegrityError: one has another sha256 than its package, or is gone from this disk.
            InstallerError: one cannot be downloaded.
            NetworkError: a certificate or a proxy is in the way.
            StorageError: one cannot be kept.
        """
        few = asyncio.Semaphore(_AT_ONCE)

        async def one(package: Package) -> Path:
            async with few:
                return await self._one(package, client, say)

        return list(await asyncio.gather(*map(one, packages)))

    async def _one(self, package: Package, client: rattler.Client, say: Say) -> Path:
        address, name = urlsplit(package.url), package.archive_name
        on_disk = Path(unquote(address.path)) if address.scheme == "file" else None
        if on_disk is None or not on_disk.exists():
            kept = self.kept.find(name, package.sha256)
            if kept is not None:
                return kept
        if on_disk is not None:
            _require_there(on_disk, package)
            return on_disk
        say(f"conda: downloading {package.name}")
        with self.kept.adding(name, package.sha256) as part:
            with part.open("wb") as file:
                download = _Download(package, file, say)
                try:
                    await download_to_writer(client, package.url, download)
                except RuntimeError as error:
                    from elt_env.index.http_client import diagnosis  # slow to load

                    # It does not say why nothing could be sent.
                    found = diagnosis(package.url) if _UNSENT in str(error) else None
                    raise found or InstallerError(str(error)) from error
            _require_same(package.file_name, package.sha256, download.sha256)
        return self.kept.root / package.sha256 / name


class _Download:
    """A file that is being downloaded; says how far a large one is, once every quarter."""

    def __init__(self, package: Package, file: IO[bytes], say: Say) -> None:
        self._package = package
        self._file = file
        self._say = say
        self._hash = hashlib.sha256()
        self._size = self._quarter = 0

    @property
    def sha256(self) -> str:
        """The sha256 of what has come so far."""
        return self._hash.hexdigest()

    def write(self, data: bytes) -> int:
        """Add `data`; return its length, as files do."""
        self._file.write(data)
        self._hash.update(data)
        self._size += len(data)
        total = self._package.size or 0
        quarter = 4 * self._size // total if total > _LARGE else 0
        if quarter > self._quarter:
            self._quarter = quarter
            name = self._package.name
            self._say(f"conda: {name} {self._size // _MEGA} of {total // _MEGA} MiB")
        return len(data)


def _require_there(path: Path, package: Package) -> None:
    """Return when the file of a `file://` URL is as locked: neither rattler nor conda hashes it."""
    if not path.exists():
        raise IntegrityError(
            f"The conda package {path} of the lock is gone.",
            "Make a new lock with: elt-env relock",
        )
    found = sha256_of(path)
    if found != package.sha256:
        raise IntegrityError(
            f"Hash mismatch of the conda package {path}: the lock says sha256 {package.sha256}, "
            f"the file has {found}.",
            "Remove the file and make a new lock with: elt-env relock",
        )


def _require_same(name: str, wanted: str, found: str) -> None:
    if found != wanted:
        raise IntegrityError(
            f"Hash mismatch of {name}: the lock says sha256 {wanted}, the channel serves {found}.",
            "The channel serves other bytes than were locked. Make a new lock: elt-env relock",
        )
