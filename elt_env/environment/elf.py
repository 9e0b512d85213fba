"""Reads what an ELF file asks of the machine and of other files: elf(5), and the gABI's chapter 5.

https://refspecs.linuxfoundation.org/elf/gabi4+/ch5.dynamic.html, and for symbol versions
https://refspecs.linuxfoundation.org/LSB_5.0.0/LSB-Core-generic/LSB-Core-generic/symversion.html
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.dynamic import DynamicSection
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerDefSection, GNUVerNeedSection
from elftools.elf.sections import Section

from elt_env.runtime.input_files import open_file

_MAGIC = b"\x7fELF"
_TELLING = (DynamicSection, GNUVerDefSection, GNUVerNeedSection)
_IS_WEAK = 2  # VER_FLG_WEAK: the loader does not insist on it
_MACHINES = {
    "linux-64": ("EM_X86_64", 64),
    "linux-aarch64": ("EM_AARCH64", 64),
    "linux-ppc64le": ("EM_PPC64", 64),
    "linux-s390x": ("EM_S390", 64),
    "linux-32": ("EM_386", 32),
}


@dataclass(frozen=True)
class Elf:
    """A program or a shared library.

    Attributes:
        path: where it lies, links resolved: what `$ORIGIN` goes by.
        machine: as in `EM_X86_64`.
        bits: 32 or 64.
        soname: the name it is known by once it is loaded; its file's name where it has none.
        needed: names of the libraries that it is loaded with, in their order.
        rpath: where those are looked for, and what they need in turn; empty where there is a
            RUNPATH, as ld.so(8) says.
        runpath: where those are looked for.
        wants: the symbol versions it needs, as in `("libc.so.6", "GLIBC_2.17")`.
        offers: the symbol versions it defines.
    """

    path: Path
    machine: str
    bits: int
    soname: str
    needed: tuple[str, ...] = ()
    rpath: tuple[str, ...] = ()
    runpath: tuple[str, ...] = ()
    wants: tuple[tuple[str, str], ...] = ()
    offers: frozenset[str] = frozenset()

    @property
    def shape(self) -> tuple[str, int]:
        """What decides which machine can load it."""
        return (self.machine, self.bits)


def shape_of_platform(platform: str) -> tuple[str, int] | None:
    """Return the shape of what runs on a conda platform, as in `linux-64`; None if not known."""
    return _MACHINES.get(platform)


def is_elf(path: Path) -> bool:
    """Whether a file, which may not be there, begins as an ELF file does."""
    try:
        with open_file(path) as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def read_elf(path: Path) -> Elf:
    """Return what an ELF file says of itself.

    Raises:
        ValueError: it is damaged; the message says how.
    """
    try:
        with open_file(path) as stream:
            return _read(ELFFile(stream), Path(os.path.realpath(path)))
    except (ELFError, KeyError, IndexError, TypeError, AttributeError, UnicodeError) as error:
        # The library trips in many ways over what is cut off.
        raise ValueError(f"is no whole ELF file ({type(error).__name__}: {error})") from error


def _read(file: ELFFile, path: Path) -> Elf:
    sections = [each for each in file.iter_sections() if isinstance(each, _TELLING)]
    tags = list(_tags(sections))
    runpath = _paths(tags, "runpath")
    return Elf(
        path=path,
        machine=str(file.header["e_machine"]),
        bits=file.elfclass,
        soname=next((text for kind, text in tags if kind == "soname"), path.name),
        needed=tuple(text for kind, text in tags if kind == "needed"),
        rpath=() if runpath else _paths(tags, "rpath"),
        runpath=runpath,
        wants=tuple(_wants(sections)),
        offers=frozenset(_offers(sections)),
    )


def _tags(sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    for section in sections:
        if isinstance(section, DynamicSection):
            for tag in section.iter_tags():
                kind = str(tag.entry.d_tag).removeprefix("DT_").lower()
                if kind in {"needed", "soname", "rpath", "runpath"}:
                    yield kind, str(getattr(tag, kind))


def _paths(tags: list[tuple[str, str]], wanted: str) -> tuple[str, ...]:
    return tuple(each for kind, text in tags if kind == wanted for each in text.split(":") if each)


def _wants(sections: Sequence[Section]) -> Iterator[tuple[str, str]]:
    for section in sections:
        if isinstance(section, GNUVerNeedSection):
            for library, versions in section.iter_versions():
                for each in versions:
                    if not each.entry["vna_flags"] & _IS_WEAK:
                        yield str(library.name), str(each.name)


def _offers(sections: Sequence[Section]) -> Iterator[str]:
    for section in sections:
        if isinstance(section, GNUVerDefSection):
            for _, names in section.iter_versions():
                yield str(next(iter(names)).name)
