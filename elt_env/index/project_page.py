"""A project's page on a package index (PEP 503, 592, 691, 700)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import overload


@dataclass(frozen=True)
class IndexFile:
    """A file that an index offers.

    Attributes:
        file_name: as in `dagster-1.13.27-py3-none-any.whl`.
        version: as its file name says.
        url: absolute, without credentials.
        requires_python: its Requires-Python, or None.
        yanked: why nobody should take it (PEP 592), "" without a reason; None when it is not.
        uploaded: when it was uploaded, UTC; None where the index does not tell (PEP 700).
        size: bytes; None where the index does not tell.
        has_metadata: whether its core metadata is at `url` + `.metadata` (PEP 658, 714).
        sha256: in hexadecimal; "" where the index does not tell.
    """

    file_name: str
    version: str
    url: str
    requires_python: str | None = None
    yanked: str | None = None
    uploaded: datetime | None = None
    size: int | None = None
    has_metadata: bool = False
    sha256: str = ""

    @property
    def is_wheel(self) -> bool:
        """Whether it can be installed without being built."""
        return self.file_name.endswith(".whl")


@dataclass(frozen=True)
class ProjectPage:
    """All files of a project on one index.

    Attributes:
        name: the project's normalized name.
        index: URL of the index, without credentials.
        files: in the order of the page.
        others: a digest of what is said of files that are left out; "" where none is.
    """

    name: str
    index: str
    files: Sequence[IndexFile]
    others: str = ""

    @property
    def versions(self) -> frozenset[str]:
        """The versions that have files, in their normal form."""
        if isinstance(self.files, KeptFiles):
            return frozenset(self.files.versions)
        return frozenset(each.version for each in self.files)

    def of(self, version: str) -> tuple[IndexFile, ...]:
        """Return the files of a version in its normal form; of files that are kept, these alone."""
        if isinstance(self.files, KeptFiles):
            return self.files.of(version)
        return tuple(each for each in self.files if each.version == version)


class KeptFiles(Sequence[IndexFile]):
    """Files as lines that are read when they are looked at: most of a page no lock needs.

    Args:
        text: a line each: a version in its normal form, a tab, and the rest.
        read: returns the file of a line's rest.
        latest: when the last of them was uploaded; None where nothing tells.
    """

    def __init__(
        self, text: bytes, read: Callable[[bytes], IndexFile], latest: datetime | None = None
    ) -> None:
        self.text = text
        self.latest = latest
        self._read = read
        self._files: tuple[IndexFile, ...] | None = None

    @cached_property
    def _lines(self) -> Sequence[bytes]:
        return self.text.splitlines()

    @cached_property
    def versions(self) -> Mapping[str, Sequence[bytes]]:
        """The lines of each version."""
        found: dict[str, list[bytes]] = {}
        for each in self._lines:
            found.setdefault(each.partition(b"\t")[0].decode(), []).append(each)
        return found

    def of(self, version: str) -> tuple[IndexFile, ...]:
        """Return the files of a version."""
        return tuple(self._file(each) for each in self.versions.get(version, ()))

    def _file(self, line: bytes) -> IndexFile:
        return self._read(line.partition(b"\t")[2])

    @property
    def _every(self) -> tuple[IndexFile, ...]:
        if self._files is None:
            self._files = tuple(map(self._file, self._lines))
        return self._files

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._lines)

    @overload
    def __getitem__(self, place: int) -> IndexFile: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[IndexFile, ...]: ...
    def __getitem__(self, place: int | slice) -> IndexFile | tuple[IndexFile, ...]:
        """Return one file, or some."""
        return self._every[place]

    def __iter__(self) -> Iterator[IndexFile]:
        """Yield the files."""
        return iter(self._every)

    def __eq__(self, other: object) -> bool:
        """Tell whether these are the same files in the same order."""
        return isinstance(other, Sequence) and self._every == tuple(other)

    __hash__ = None  # type: ignore[assignment]  # as of a list
