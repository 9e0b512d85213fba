"""A project's page on a package index (PEP 503, 592, 691, 700)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


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
    """

    file_name: str
    version: str
    url: str
    requires_python: str | None = None
    yanked: str | None = None
    uploaded: datetime | None = None
    size: int | None = None
    has_metadata: bool = False

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
    """

    name: str
    index: str
    files: tuple[IndexFile, ...]
