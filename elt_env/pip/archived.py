"""Compare what uv installed from its cache of unpacked wheels with the wheels themselves.

uv compares the hash of the lock when it unpacks a wheel, and later takes what lies in its cache.
So what a distribution in the prefix records has to be what its wheel holds. Every file of a prefix
is held against that record as well, so that nothing else gets in.

https://packaging.python.org/en/latest/specifications/binary-distribution-format/ says which file of
a wheel comes where.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import importlib.metadata
import os
import posixpath
import re
import zipfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from elt_env.errors import IntegrityError
from elt_env.package.names import normalize
from elt_env.pip.port import InstallRequest
from elt_env.python.bytecode import is_cached
from elt_env.python.first_line import written_by_uv
from elt_env.runtime.files import writing
from elt_env.runtime.input_files import read_content, read_stored_text

# What an installer writes of its own, and signatures of RECORD, which no longer hold then.
_OWN = ("INSTALLER", "REQUESTED", "RECORD", "RECORD.jws", "RECORD.p7s", "uv_cache.json")
_UNREADABLE = (zipfile.BadZipFile, KeyError, csv.Error, ValueError, OSError)
_NOTE = "uv_cache.json"
# Of pip, whatever its wheel says, installers make one launcher more, for the Python that it is for.
_PIP = re.compile(r"^bin/pip3\.\d+$")
_LAUNCHER = """# -*- coding: utf-8 -*-
import sys
from {module} import {name}
if __name__ == "__main__":
    if sys.argv[0].endswith("-script.pyw"):
        sys.argv[0] = sys.argv[0][:-11]
    elif sys.argv[0].endswith(".exe"):
        sys.argv[0] = sys.argv[0][:-4]
    sys.exit({call}())
"""


def files_in(prefix: Path) -> set[str]:
    """Return the path below `prefix` of every file and link."""
    return set(_files_below(os.fspath(prefix), ""))


def _files_below(root: str, below: str) -> Iterator[str]:
    with os.scandir(f"{root}/{below}") as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(root, f"{below}{entry.name}/")
            else:
                yield f"{below}{entry.name}"


def forged(request: InstallRequest, before: Collection[str]) -> dict[str, list[str]]:
    """Return what was not installed as its wheel has it: by distribution, paths below the prefix.

    Args:
        request: what was installed, from its archives.
        before: the files that were there before that, as `files_in` returns them. What came
            besides them and the wheels has the name "".

    Raises:
        IntegrityError: an archive cannot be read as a wheel.
    """
    known = set(before)
    found = {}
    for path in request.archives:
        try:
            with zipfile.ZipFile(path) as archive:
                wheel = _Wheel(archive, request)
                differing = sorted(wheel.differing())
        except (*_UNREADABLE, StopIteration) as error:
            raise IntegrityError(
                f"{path.name} cannot be read as a wheel: {error}.",
                "Make a new lock: elt-env relock",
            ) from error
        known |= wheel.places
        if differing:
            found[wheel_name(path)] = differing
    besides = [each for each in files_in(request.prefix) - known if not is_cached(each)]
    return found | ({"": sorted(besides)} if besides else {})


def listed(found: Mapping[str, Sequence[str]]) -> str:
    """Return what `forged` found, for a message."""
    lines = (f"{paths[0]} of {name or 'no package'}" for name, paths in sorted(found.items()))
    return "; ".join(lines)


def forget_notes(request: InstallRequest) -> None:
    """Remove what uv notes of the file that a wheel was installed from, such as its time.

    Raises:
        StorageError: it cannot be written.
    """
    for note in sorted(request.site_packages.glob(f"*.dist-info/{_NOTE}")):
        record = note.with_name("RECORD")
        lines = read_stored_text(record).splitlines(keepends=True)
        mine = f"{note.parent.name}/{_NOTE},"
        with writing(record):
            # Not the file itself, which a cache may share; nothing of a prefix is on the disk yet.
            record.unlink()
            record.write_text("".join(each for each in lines if not each.startswith(mine)))
            record.chmod(0o644)
            note.unlink()


class _Wheel:
    """A wheel, and what is recorded of it where it was installed; paths are below the prefix."""

    def __init__(self, archive: zipfile.ZipFile, request: InstallRequest) -> None:
        self._archive = archive
        self._prefix = request.prefix
        names = [each.filename for each in archive.infolist() if not each.is_dir()]
        info = next(each.partition("/")[0] for each in names if each.endswith(".dist-info/WHEEL"))
        site = os.path.relpath(request.site_packages, request.prefix)
        self._own = {f"{site}/{info}/{each}" for each in _OWN}
        self._data = f"{info.removesuffix('.dist-info')}.data/"
        places = {"": site, "purelib": site, "platlib": site, "scripts": "bin", "data": "."}
        self._names = {}
        self._headers = set()
        for name in names:
            scheme, _, path = f"/{name}".removeprefix(f"/{self._data}").partition("/")
            if scheme == "headers":  # below `include`, where installers do not agree
                self._headers.add(f"sha256={_encoded(archive.read(name))}")
            else:
                self._names[posixpath.normpath(f"{places[scheme]}/{path}")] = name
        self._stated = dict(_rows(archive.read(f"{info}/RECORD").decode()))
        self._launchers = dict(_launchers(archive, info))
        record = read_stored_text(request.site_packages / info / "RECORD")
        self._rows = {posixpath.normpath(f"{site}/{path}"): of for path, of in _rows(record)}

    @property
    def places(self) -> set[str]:
        """Where its files are, those that are not as in the wheel too."""
        return self._names.keys() | self._rows.keys()

    def differing(self) -> Iterator[str]:
        """Yield what is not as the wheel has it."""
        for place in self.places - self._own:
            stated = self._rows.get(place, "")
            if not (stated in self._accepted(place) if stated else self._is_same(place)):
                yield place

    def _accepted(self, place: str) -> set[str]:
        """Return what a RECORD may state of a file."""
        accepted = set()
        launcher = self._launchers.get(_PIP.sub("bin/pip3", place))
        if launcher is not None:
            accepted |= self._started(launcher)
        if place in self._names:
            name = self._names[place]
            if name.startswith(f"{self._data}scripts/") and self._begins(name, b"#!python"):
                accepted |= self._started(self._archive.read(name).partition(b"\n")[2])
            else:
                accepted.add(
                    self._stated.get(name) or f"sha256={_encoded(self._archive.read(name))}"
                )
        return accepted | (self._headers if place.startswith("include/") else set())

    def _begins(self, name: str, start: bytes) -> bool:
        with self._archive.open(name) as file:
            return file.read(len(start)) == start

    def _started(self, content: bytes) -> set[str]:
        """Return what is stated of a script that an installer lets the prefix's Python run."""
        accepted = set()
        for prefix in (self._prefix, os.path.realpath(self._prefix)):
            written = written_by_uv(os.fsencode(f"{prefix}/bin/python"), content)
            accepted |= {f"sha256={_encoded(each)}" for each in written}
        return accepted

    def _is_same(self, place: str) -> bool:
        """Tell whether a file whose hash nothing states is what the wheel holds."""
        name, path = self._names.get(place), self._prefix / place
        if name is None or not path.is_file():
            return is_cached(place)
        return read_content(path) == self._archive.read(name)


def _rows(record: str) -> Iterator[tuple[str, str]]:
    """Yield the paths of a RECORD, and the hash of each where there is one."""
    for row in csv.reader(record.splitlines()):
        if row:
            yield row[0], row[1].rstrip("=") if len(row) > 1 else ""


class _Metadata(importlib.metadata.Distribution):
    """What a wheel says of itself."""

    def __init__(self, archive: zipfile.ZipFile, info: str) -> None:
        self._archive = archive
        self._info = info

    def read_text(self, filename: str) -> str | None:
        """Return a file of the wheel's metadata; None where it has none of that name."""
        try:
            return self._archive.read(f"{self._info}/{filename}").decode()
        except KeyError:
            return None

    def locate_file(self, path: str | os.PathLike[str]) -> Path:
        """Return the path of a file in the wheel."""
        return Path(path)


def _launchers(archive: zipfile.ZipFile, info: str) -> Iterator[tuple[str, bytes]]:
    """Yield the launchers that uv writes: their places, and contents below the first line."""
    for each in _Metadata(archive, info).entry_points:
        if each.group in ("console_scripts", "gui_scripts"):
            call = each.attr
            content = _LAUNCHER.format(module=each.module, name=call.partition(".")[0], call=call)
            yield f"bin/{each.name}", content.encode()


def wheel_name(wheel: Path) -> str:
    """Return the normalized name of the distribution in a wheel, by its file name."""
    return normalize(wheel.name.partition("-")[0])


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
