"""The content of a prefix's files when the prefix lives elsewhere.

Conda replaces a placeholder by the prefix when it links a package, in text as it is, in binaries
within the C string and filled up with NUL bytes; the same is done here from one prefix to
another. Scripts get the same first line however long the path was that they were installed under.
"""

from __future__ import annotations

import ctypes
import os
import re
from pathlib import Path

from elt_env.errors import IntegrityError, PolicyError
from elt_env.python.first_line import long_first_line

_ELF = b"\x7fELF"
_ENV = re.compile(rb"\A#! ?/usr/bin/env (?P<python>python[0-9.]*)[ \t]*\n")
_PYC_FLAGS = slice(4, 8)
_CHECKED, _UNCHECKED = b"\x03\0\0\0", b"\x01\0\0\0"
_TIMESTAMP = b"\0\0\0\0"
# The C library's search takes a third of the time of Python's, and lets other threads go on.
_search = ctypes.CDLL(None).memmem
_search.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
_search.restype = ctypes.c_void_p


class Relocation:
    """Moves content from a prefix to the place it has in an image."""

    def __init__(self, prefix: Path, place: str) -> None:
        """Prepare the move from the directory `prefix` to the path `place`.

        Raises:
            PolicyError: `place` is longer than the prefix, and would not fit where it stands.
        """
        self._place = os.fsencode(place)
        found = {os.fsencode(prefix), os.fsencode(os.path.realpath(prefix))}
        self._found = sorted(found, key=len, reverse=True)
        if len(self._place) > min(map(len, self._found)):
            raise PolicyError(
                f"image-path '{place}' is longer than the prefix {prefix}, so it cannot replace it "
                "in binary files.",
                "Choose a shorter image-path, or a longer path for the store (home).",
            )

    def concerns(self, data: bytes) -> bool:
        """Return whether the prefix stands in `data`."""
        return any(_search(data, len(data), each, len(each)) is not None for each in self._found)

    def link(self, target: str) -> str:
        """Return the target of a symbolic link."""
        return os.fsdecode(self._replaced(os.fsencode(target)))

    def content(self, name: str, data: bytes, *, placed: bool = False) -> bytes | None:
        """Return what the file `name` holds at the new place; None when it has no use there.

        Compiled modules are not compared with their sources any more: in an image nobody edits
        these (PEP 552). One that holds the prefix is left out; Python compiles it in memory.

        Args:
            name: its path below the prefix.
            data: all of it.
            placed: whether conda put the prefix into it, and so into C strings if it is binary.

        Raises:
            IntegrityError: the prefix stands in it in a way that cannot be replaced.
        """
        if name.endswith(".pyc"):
            return None if self.concerns(data) else _unchecked(data)
        if data.startswith(b"#!"):
            data = self._script(data, anywhere=not name.startswith("bin/"))
        if not self.concerns(data):
            return data
        if data.startswith(_ELF) or (placed and b"\0" in data):
            return self._in_strings(data)
        if b"\0" in data:
            raise IntegrityError(
                f"{name} holds the path of its prefix in a form that cannot be replaced.",
                "Have that package installed by conda, or leave it out of the spec.",
            )
        return self._replaced(data)

    def _script(self, data: bytes, *, anywhere: bool) -> bytes:
        """Return a script with the first line that it has where paths are short."""
        long = long_first_line(data)
        if long and self.concerns(long[0]):
            return b"#!%b\n%b" % long
        found = None if anywhere else _ENV.match(data)
        if found:
            return b"#!" + self._place + b"/bin/" + found["python"] + b"\n" + data[found.end() :]
        return data

    def _replaced(self, data: bytes) -> bytes:
        for each in self._found:
            data = data.replace(each, self._place)
        return data

    def _in_strings(self, data: bytes) -> bytes:
        anywhere = b"|".join(map(re.escape, self._found))
        return re.sub(rb"(?:%b)[^\0]*" % anywhere, self._filled, data)

    def _filled(self, found: re.Match[bytes]) -> bytes:
        return self._replaced(found[0]).ljust(len(found[0]), b"\0")


def _unchecked(data: bytes) -> bytes:
    flags = data[_PYC_FLAGS]
    if flags == _CHECKED:
        return data[:4] + _UNCHECKED + data[8:]
    if flags == _TIMESTAMP:
        # The time it names is not that of the file in the image; the hash is not looked at.
        return data[:4] + _UNCHECKED + bytes(8) + data[16:]
    return data
