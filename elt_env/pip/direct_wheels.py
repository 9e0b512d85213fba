"""Wheels of what a URL names and of sdists: fetched by their hash, or built once and kept by it."""

from __future__ import annotations

import shutil
import sys
import tarfile
import zlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from packaging.utils import parse_wheel_filename

from elt_env.errors import IntegrityError, NoWheelError, SpecError, ToolError
from elt_env.lockfile.document import BuiltFrom, Package
from elt_env.machine.indexes import Indexes
from elt_env.machine.process import Say, unheard
from elt_env.machine.scratch import scratch_directory
from elt_env.package.canonical import digest_of
from elt_env.package.names import normalize
from elt_env.pip.repository import check_out
from elt_env.python.interpreters import find_for_venv
from elt_env.python.wheel_metadata import read_wheel_metadata
from elt_env.python.wheel_tags import wheel_tags
from elt_env.runtime.files import sha256_of, write_atomically
from elt_env.runtime.input_files import read_stored_text
from elt_env.spec.direct import DirectRequirement

if TYPE_CHECKING:
    from elt_env.index.download import Downloads

EPOCH = 315532800  # 1980-01-01, the earliest moment that a zip archive can hold


@dataclass(frozen=True)
class BuildRequest:
    """What to build a wheel of.

    Attributes:
        origin: what names the source in messages.
        source: the project's directory.
        python: the interpreter to build with, and for.
        output: the directory that the wheel comes into.
        moment: seconds since 1970 that stand for now (SOURCE_DATE_EPOCH).
        exclude_newer: build requirements released after this moment are not taken.
        indexes: where build requirements come from; None means the builder's own.
    """

    origin: str
    source: Path
    python: Path
    output: Path
    moment: int
    exclude_newer: datetime | None = None
    indexes: Indexes | None = None


class Builder(Protocol):
    """Builds a wheel in an isolated environment (PEP 517)."""

    def build_wheel(self, request: BuildRequest, say: Say) -> None:
        """Build the wheel; what it needs for that comes from the package indexes.

        Raises:
            ToolError: it does not build.
            IndexUnreachableError: an index does not answer.
        """
        ...


@dataclass(frozen=True)
class DirectWheel:
    """The wheel of a direct requirement.

    Attributes:
        direct: what asked for it; its URL is absolute.
        path: where the wheel is kept.
        sha256: the wheel's.
        version: its version.
        requires_python: its bound on Python, or None.
    """

    direct: DirectRequirement
    path: Path
    sha256: str
    version: str
    requires_python: str | None = None

    @property
    def requirement(self) -> str:
        """The requirement that names the wheel where it is kept (PEP 508)."""
        bare, _, marker = self.direct.named.partition("; ")
        return f"{bare} @ {self.path.as_uri()}" + (f" ; {marker}" if marker else "")

    def package(self, *, requested: bool, required_by: tuple[str, ...]) -> Package:
        """Return it as a locked package."""
        direct = self.direct
        built = BuiltFrom(self.path.name, direct.sha256, direct.commit, direct.subdirectory)
        return Package(
            manager="pip",
            name=direct.name,
            version=self.version,
            url=direct.url,
            sha256=self.sha256,
            size=self.path.stat().st_size,
            requested=requested,
            required_by=required_by,
            requires_python=self.requires_python,
            built=None if direct.is_wheel else built,
        )


class DirectWheels:
    """Fetches and builds wheels.

    Args:
        downloads: where they are kept.
        builds: the directory that remembers which wheel was built of what a URL names.
        sdists: the one that remembers it of sdists. No lock has the hash of such a wheel, so this
            is no cache.
        builder: builds them.
        limit: seconds that one step may take.
    """

    def __init__(
        self, downloads: Downloads, builds: Path, sdists: Path, builder: Builder, limit: float
    ) -> None:
        self._downloads = downloads
        self._builds = builds
        self._sdists = sdists
        self._builder = builder
        self._limit = limit

    def get(
        self, direct: DirectRequirement, python: str, exclude_newer: datetime | None, say: Say
    ) -> DirectWheel:
        """Return the wheel of a requirement for a Python minor.

        Raises:
            IntegrityError: the archive has another sha256.
            IndexUnreachableError: it cannot be fetched.
            SpecError: it is another distribution than the requirement says.
            NoWheelError: the wheel does not fit that Python on this machine.
            ToolError: it does not build.
        """
        if direct.is_wheel:
            path = self._fetch(direct)
        else:
            path = self._built(direct, python, exclude_newer, say)
        metadata = read_wheel_metadata(path)
        if normalize(metadata.name) != direct.name:
            raise SpecError(
                f"{direct.origin} is the distribution '{metadata.name}', not '{direct.name}'.",
                f"Write: {metadata.name} @ {direct.origin}",
            )
        _require_fit(path, direct, python)
        return DirectWheel(
            direct, path, sha256_of(path), metadata.version, metadata.requires_python
        )

    def _fetch(self, direct: DirectRequirement) -> Path:
        try:
            return self._downloads.fetch(direct.url, direct.sha256)
        except IntegrityError as error:
            raise IntegrityError(
                error.problem.replace("the index serves", f"{direct.url} has"),
                "If that file is to be trusted, correct the hash in the spec.",
            ) from error

    def get_locked(
        self,
        package: Package,
        python: str,
        indexes: Indexes,
        say: Say,
        *,
        exclude_newer: datetime | None = None,
    ) -> Path:
        """Return the file of a locked package that no index has.

        It is fetched again, or built again of the same source, when it is not kept any more; what
        the build needs comes from `indexes` as it was at `exclude_newer`.

        Raises:
            IntegrityError: what was built again has other bytes.
            EltEnvError: as `get`.
        """
        built = package.built
        if built is None:
            return self._downloads.fetch(package.url, package.sha256)
        kept = self._downloads.find(built.wheel, package.sha256)
        if kept is not None:
            return kept
        direct = DirectRequirement(
            package.name, package.url, built.sha256, built.commit, built.subdirectory
        )
        say(f"pip: {built.wheel} is not in the cache any more; building it again")
        interpreter = _interpreter(python)
        path = self._build(direct, interpreter, say, exclude_newer=exclude_newer, indexes=indexes)
        found = sha256_of(path)
        if found != package.sha256:
            raise IntegrityError(
                f"{path.name} was built again of {direct.origin}, and its bytes differ: sha256 "
                f"{package.sha256} is locked, this one has {found}. Such builds are not "
                "reproducible.",
                "Make a new lock: elt-env relock; or build a wheel once, put it into an index or "
                "a directory, and name that in the spec.",
            )
        return path

    def of_sdist(
        self,
        package: Package,
        python: Path,
        indexes: Indexes,
        say: Say,
        *,
        exclude_newer: datetime | None = None,
    ) -> Path:
        """Return the wheel of a locked sdist, built from the archive with the hash of the lock.

        It is built once for all prefixes of this store: built again, it may have other bytes. The
        path of `python`, the interpreter to build with, and for, ends with its version. What the
        build needs comes from `indexes` as it was at `exclude_newer`.

        Raises:
            IntegrityError: the archive has another sha256.
            EltEnvError: it cannot be fetched, or does not build.
        """
        kept = self.built_of(package, python.name)
        if kept is not None:
            return kept
        direct = DirectRequirement(package.name, package.url, package.sha256)
        path = self._build(direct, python, say, exclude_newer=exclude_newer, indexes=indexes)
        self.keep_built(package, python.name, sha256_of(path), path.name)
        return path

    def of_locked_sdist(self, package: Package, python: str, indexes: Indexes) -> Path:
        """Return the wheel of an sdist for a Python version, as `of_sdist` does."""
        return self.of_sdist(package, _interpreter(python), indexes, unheard)

    def built_of(self, package: Package, python: str) -> Path | None:
        """Return the wheel that was built of a locked sdist for `python`, as `python3.11`."""
        return self._noted(self._sdists / f"{package.sha256}-{python}")

    def keep_built(self, package: Package, python: str, sha256: str, name: str) -> None:
        """Note which of the kept wheels is that of a locked sdist."""
        write_atomically(self._sdists / f"{package.sha256}-{python}", f"{sha256} {name}\n")

    def _built(
        self, direct: DirectRequirement, python: str, exclude_newer: datetime | None, say: Say
    ) -> Path:
        """Return the wheel that was built of a source, built now if there is none."""
        note = self._builds / digest_of([direct.origin, python]).removeprefix("sha256:")
        kept = self._noted(note)
        if kept is not None:
            return kept
        path = self._build(direct, _interpreter(python), say, exclude_newer=exclude_newer)
        write_atomically(note, f"{sha256_of(path)} {path.name}\n")
        return path

    def _noted(self, note: Path) -> Path | None:
        """Return the wheel that a note names, where it is kept."""
        try:
            sha256, _, name = read_stored_text(note).strip().partition(" ")
        except (OSError, UnicodeDecodeError):
            return None
        return self._downloads.find(name, sha256)

    def _build(
        self,
        direct: DirectRequirement,
        python: Path,
        say: Say,
        *,
        exclude_newer: datetime | None = None,
        indexes: Indexes | None = None,
    ) -> Path:
        with scratch_directory("build") as place:
            say(f"pip: building a wheel of {direct.origin}")
            source, moment = self._source(direct, place, say)
            request = BuildRequest(
                origin=direct.origin,
                source=source,
                python=python,
                output=place / "wheel",
                moment=moment,
                exclude_newer=exclude_newer,
                indexes=indexes,
            )
            self._builder.build_wheel(request, say)
            return self._downloads.keep(next((place / "wheel").glob("*.whl")))

    def _source(self, direct: DirectRequirement, place: Path, say: Say) -> tuple[Path, int]:
        """Return the directory of a project's source, and the moment of its making."""
        source, moment = place / "source", EPOCH
        if direct.commit:
            moment = check_out(direct.url, direct.commit, source, self._limit, say)
        else:
            source = unpack_source(self._fetch(direct), source)
        project = source / direct.subdirectory
        if not project.is_dir():
            raise SpecError(
                f"{direct.origin} has no directory '{direct.subdirectory}'.",
                "Correct '#subdirectory=', or leave it out.",
            )
        return project, max(moment, EPOCH)


def unpack_source(archive: Path, directory: Path) -> Path:
    """Unpack a source archive and return the directory of the project in it.

    Nothing of it comes to lie outside of `directory`.
    """
    # PEP 706: the first releases of Python 3.10 and 3.11 have no filter.
    filtered = archive.suffix != ".zip" and hasattr(tarfile, "data_filter")
    try:
        if filtered:
            shutil.unpack_archive(archive, directory, filter="data")
        else:
            shutil.unpack_archive(archive, directory)
    except (shutil.ReadError, tarfile.TarError, zlib.error, ValueError, EOFError) as error:
        raise IntegrityError(
            f"{archive.name} is not an archive that can be unpacked: {error}.",
            "Name another file, or the project's repository: NAME @ git+https://…@COMMIT",
        ) from error
    inside = [*directory.iterdir()]
    return inside[0] if len(inside) == 1 and inside[0].is_dir() else directory


def _interpreter(python: str) -> Path:
    """Return a Python to build with: of that minor, where this machine has one, else our own."""
    try:
        return find_for_venv(python).executable
    except ToolError:
        return Path(sys.executable)


def _require_fit(path: Path, direct: DirectRequirement, python: str) -> None:
    if not parse_wheel_filename(path.name)[3].isdisjoint(wheel_tags(python)):
        return
    raise NoWheelError(
        f"{path.name} of {direct.origin} does not fit Python {python} on this machine.",
        f"Name a wheel for it, or, where it is built here, install a Python {python}.",
    )
