"""Part of this machine's own file system, on its way into a layer."""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.image.oci.layer import LayerWriter
from elt_env.runtime.input_files import read_content

_LINKS = 40  # as the kernel allows on one way, path_resolution(7)


@dataclass(frozen=True)
class _Directory:
    mode: int
    owner: int


@dataclass(frozen=True)
class _Link:
    target: str


class HostTree:
    """Files of this machine at the paths they have here, with the links on the way to them.

    Who owns them, their times and all of their modes but the executable bit do not go along.

    Attributes:
        sources: the files that were read.
    """

    def __init__(self) -> None:
        self.sources: set[Path] = set()
        self._entries: dict[str, _Directory | _Link | Path | bytes] = {}

    def directory(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """Add a directory of the image's own."""
        self._entries[name] = _Directory(mode, owner)

    def text(self, name: str, text: str) -> None:
        """Add a file of the image's own."""
        self._entries[name] = text.encode()

    def link(self, name: str, target: str) -> None:
        """Add a link of the image's own, where nothing else is."""
        self._entries.setdefault(name, _Link(target))

    def host(self, path: Path) -> None:
        """Add what is at `path` on this machine: a file, or a directory without its content.

        Raises:
            ToolError: its links lead nowhere.
        """
        done, left, links = "", deque(path.parts[1:]), 0
        while left:
            part = left.popleft()
            if part == "..":
                done = os.path.dirname(done)  # noqa: PTH120  # of a text, not of a path here
                continue
            here = f"{done}/{part}".lstrip("/")
            full = Path("/", here)
            if not full.is_symlink():
                done = here
                continue
            target, links = full.readlink(), links + 1
            self._entries[here] = _Link(str(target))
            left.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            done = "" if target.is_absolute() else done
            if links > _LINKS:
                raise _unreadable(path)
        self._add(path, Path("/", done))

    def _add(self, path: Path, real: Path) -> None:
        name = str(real).lstrip("/")
        if real.is_file():
            self._entries[name] = real
            self.sources.add(real)
        elif real.is_dir():
            self._entries.setdefault(name, _Directory(0o755, 0))
        else:
            raise _unreadable(path)

    def host_all(self, path: Path, *, but: frozenset[str] = frozenset()) -> None:
        """Add a directory of this machine with all files below it, but for those names."""
        for place, directories, names in os.walk(path):
            directories[:] = [each for each in directories if each not in but]
            for name in names:
                if name not in but and Path(place, name).exists():
                    self.host(Path(place, name))

    def write(self, layer: LayerWriter) -> None:
        """Add everything to a layer, sorted by name."""
        for name, entry in sorted(self._entries.items()):
            if isinstance(entry, _Directory):
                layer.directory(name, entry.mode, entry.owner)
            elif isinstance(entry, _Link):
                layer.symlink(name, entry.target)
            elif isinstance(entry, bytes):
                layer.file(name, entry)
            else:
                mode = 0o755 if entry.stat().st_mode & 0o111 else 0o644
                layer.file(name, read_content(entry), mode)


def _unreadable(path: Path) -> ToolError:
    return ToolError(
        f"{path} of this machine cannot be read: its links lead nowhere.",
        'Mend it, or set image-base to something else than "host".',
    )
