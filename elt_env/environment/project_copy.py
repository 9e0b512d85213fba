"""The files of somebody's project: their digest, and a copy that a tool may write into.

What counts and what is copied is the same. Links that stay inside the project stay links; what a
link elsewhere leads to is copied, so that no write into the copy reaches it. Pipes, sockets and
devices are left out, as is what version control, caches and virtual environments keep there.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.package.canonical import digest_of
from elt_env.runtime.files import sha256_of, writing

MOST_BYTES = 512 << 20
MOST_FILES = 50_000

_LEFT_OUT = frozenset(
    {
        *(".git", ".hg", ".svn", ".venv", ".tox", ".nox", ".elt_env", ".dagster", ".meltano"),
        *("__pycache__", "node_modules", ".mypy_cache", ".pytest_cache", ".ruff_cache"),
        *(".ipynb_checkpoints", ".DS_Store", ".user.yml"),
    }
)
_VIRTUAL = "pyvenv.cfg"  # marks a virtual environment (PEP 405)


@dataclass(frozen=True)
class ProjectFile:
    """A file, directory or link that belongs to a project.

    Attributes:
        path: where it is in the project, relative.
        source: where its content lies.
        link: where it leads to, if it is a link that stays inside.
        mode: of its content.
        size: in bytes.
    """

    path: str
    source: Path
    mode: int
    size: int
    link: str = ""

    def described(self) -> str:
        """Return its kind and its content, without its age."""
        if self.link:
            return f"link {self.link}"
        if stat.S_ISDIR(self.mode):
            return "directory"
        kind = "program" if self.mode & stat.S_IXUSR else "file"
        return f"{kind} {sha256_of(self.source)}"


@dataclass(frozen=True)
class ProjectFiles:
    """The files of a project's directory.

    Attributes:
        root: the directory, which is never written to.
        exclude: patterns of names, or of paths in it, that do not belong to it.
        stores: directories that do not either, wherever they lie.
        most_bytes, most_files: how much is taken for a project.
    """

    root: Path
    exclude: tuple[str, ...] = ()
    stores: tuple[Path, ...] = ()
    most_bytes: int = MOST_BYTES
    most_files: int = MOST_FILES

    def digest(self) -> str:
        """Return the digest of all that a copy holds.

        Raises:
            ToolError: it is too large, or cannot be read.
        """
        with self._reading():
            return digest_of({_text(each.path): _text(each.described()) for each in self.files()})

    def copy_to(self, place: Path) -> Path:
        """Return `place`, made a copy of the project, in which everything can be written.

        Raises:
            ToolError: the project is too large, or cannot be read.
            StorageError: the disk is full or not writable.
        """
        with self._reading():
            every = self.files()
        with writing(place), self._reading():
            place.mkdir(parents=True)
            for each in every:
                _copy(each, place / each.path)
        return place

    def files(self) -> tuple[ProjectFile, ...]:
        """Return them all, a directory before what is in it.

        Raises:
            ToolError: there are too many, or they are too large.
            OSError: one cannot be looked at.
        """
        found: list[ProjectFile] = []
        total = 0
        for each in self._walk(self.root, "", (self._real,)):
            found.append(each)
            total += each.size
            if total > self.most_bytes or len(found) > self.most_files:
                raise self._too_large(found, total)
        return tuple(found)

    @cached_property
    def _real(self) -> str:
        return os.path.realpath(self.root)

    def _walk(self, directory: Path, inside: str, above: tuple[str, ...]) -> Iterator[ProjectFile]:
        """Yield what is in a directory; `above` are the real paths that led there."""
        with os.scandir(directory) as entries:
            ordered = sorted(entries, key=lambda each: each.name)
        if inside and any(each.name == _VIRTUAL for each in ordered):
            return
        for each in ordered:
            path = f"{inside}{each.name}"
            if self._leaves_out(each, path):
                continue
            link = self._link_inside(each) if each.is_symlink() else ""
            if link:
                yield ProjectFile(path, Path(each.path), 0, 0, link)
                continue
            try:
                found = each.stat()
            except OSError:
                if each.is_symlink():
                    continue  # it leads nowhere
                raise
            yield from self._of_entry(Path(each.path), path, found, above)

    def _of_entry(
        self, source: Path, path: str, found: os.stat_result, above: tuple[str, ...]
    ) -> Iterator[ProjectFile]:
        if stat.S_ISREG(found.st_mode):
            yield ProjectFile(path, source, found.st_mode, found.st_size)
        elif stat.S_ISDIR(found.st_mode):
            real = os.path.realpath(source)
            # A link to what it lies in would have no end.
            if not any(Path(each).is_relative_to(real) for each in above):
                yield ProjectFile(path, source, found.st_mode, 0)
                yield from self._walk(source, f"{path}/", (*above, real))

    def _leaves_out(self, entry: os.DirEntry[str], path: str) -> bool:
        if entry.name in _LEFT_OUT or _matches(entry.name, path, self.exclude):
            return True
        return any(Path(entry.path) == each for each in self.stores)

    def _link_inside(self, entry: os.DirEntry[str]) -> str:
        """Return where a link leads, relative to itself, if that is in the project; else ""."""
        real = os.path.realpath(entry.path)
        if real == self._real or not Path(real).is_relative_to(self._real):
            return ""
        here = os.path.realpath(Path(entry.path).parent)
        if not Path(here).is_relative_to(self._real) or not Path(real).exists():
            return ""
        return os.path.relpath(real, here)

    def _too_large(self, found: list[ProjectFile], total: int) -> ToolError:
        sizes: dict[str, int] = {}
        for each in found:
            top = each.path.partition("/")[0]
            sizes[top] = sizes.get(top, 0) + max(each.size, 1)
        largest = max(sizes, key=lambda name: sizes[name])
        what = (
            f"it has more than {self.most_bytes >> 20} MiB"
            if total > self.most_bytes
            else f"it has more than {self.most_files} files"
        )
        return ToolError(
            f"{self.root} is too large to be copied: {what}, most of it in {_text(largest)}.",
            f'Leave out what the check does not read, as with exclude = ["{_text(largest)}"].',
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn the operating system's refusal to read into a ToolError that names the file."""
        try:
            yield
        except OSError as error:
            name = str(error.filename or "")
            if not name.startswith(str(self.root)):
                raise
            raise ToolError(
                f"{_text(name)} cannot be read: {error.strerror}.",
                "Make it readable for this user, or leave it out with `exclude`.",
            ) from error


def _copy(file: ProjectFile, place: Path) -> None:
    if file.link:
        place.symlink_to(file.link)
    elif stat.S_ISDIR(file.mode):
        place.mkdir()
    else:
        shutil.copyfile(file.source, place)
        place.chmod(0o755 if file.mode & stat.S_IXUSR else 0o644)


def _matches(name: str, path: str, patterns: Collection[str]) -> bool:
    bare = (each.removeprefix("./").rstrip("/") for each in patterns)
    return any(fnmatch(name, each) or fnmatch(path, each) for each in bare)


def _text(path: str) -> str:
    """Return a path in letters that every file can hold, whatever its bytes are."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
