"""Writes the files of packages into a layer, as they are when the prefix lives in an image."""

from __future__ import annotations

import base64
import csv
import ctypes
import hashlib
import io
import json
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elt_env.environment import conda_history
from elt_env.environment.conda_meta import HISTORY
from elt_env.environment.file_list import stats_of
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError, PolicyError
from elt_env.image import spec as oci
from elt_env.image.files import PackageFiles, gone
from elt_env.image.oci.layer import LayerWriter
from elt_env.image.source import source_date
from elt_env.lockfile.document import Lock
from elt_env.python.bytecode import is_cached
from elt_env.python.first_line import long_first_line
from elt_env.runtime.cancelling import go_on
from elt_env.runtime.input_files import open_file, read_content

FORMAT = 2
"""Version of how files are packed; a change of their bytes raises it."""

_CHANNEL = "elt-env"
_WHOLE = 256 << 20  # bytes up to which a file is looked at in memory
_OVERLAP = 4096
_VOLATILE = (
    "extracted_package_dir", "link", "package_tarball_full_path", "requested_spec",
    "requested_specs",
)  # fmt: skip
_ELF = b"\x7fELF"
_LINK = "-> "
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
            return None if self.concerns(data) else unchecked(data)
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


def unchecked(data: bytes) -> bytes:
    """Return compiled code that Python takes without a look at its source (PEP 552)."""
    flags = data[_PYC_FLAGS]
    if flags == _CHECKED:
        return data[:4] + _UNCHECKED + data[8:]
    if flags == _TIMESTAMP:
        # The time it names is not that of the file in the image; the hash is not looked at.
        return data[:4] + _UNCHECKED + bytes(8) + data[16:]
    return data


def _read(path: str, size: int) -> tuple[bytes, str]:
    """Return a file of `size` bytes and its stats; in few calls, for there are so many files."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return os.read(handle, size + 1), stats_of(os.fstat(handle))
    finally:
        os.close(handle)


def _link_target(path: str) -> str:
    """Return the target of a symbolic link; "" where something else has taken its place."""
    try:
        return os.readlink(path)  # noqa: PTH115  # as in _read
    except FileNotFoundError:
        raise
    except OSError:
        return ""


def history(lock: Lock) -> bytes:
    """Return the history of conda that an image has: of no machine, and of no day.

    Raises:
        PolicyError: SOURCE_DATE_EPOCH is not a number of seconds.
    """
    return conda_history.render(lock, source_date(), channel=_CHANNEL).encode()


class Packer:
    """Packs files of one prefix for the path `place`."""

    def __init__(self, prefix: Prefix, place: str) -> None:
        """Prepare to pack.

        Raises:
            PolicyError: `place` does not fit, or SOURCE_DATE_EPOCH is no number of seconds.
        """
        self._prefix = str(prefix.path)
        self._target = prefix.lock.target.name
        self._history = history(prefix.lock)
        self._placed: set[str] = set()
        self._site = prefix.site_packages.relative_to(prefix.path)
        self._place = place
        self._root = place.lstrip("/")
        self._relocation = Relocation(prefix.path, place)

    def pack(self, packages: Sequence[PackageFiles], layer: LayerWriter) -> None:
        """Add the files of packages in the order of their names.

        Raises:
            IntegrityError: a file is gone, was changed, or cannot live at another path.
            CancelledError: it was given up.
        """
        records = {each.record: each for each in packages}
        self._placed = {name for each in packages for name in each.placed}
        every = {name: sealed for each in packages for name, sealed in each.sealed.items()}
        for name, (what, stats) in sorted(every.items()):
            go_on()
            try:
                self._add(name, what, stats, layer, records.get(name))
            except (FileNotFoundError, NotADirectoryError, IsADirectoryError, EOFError) as error:
                if not is_cached(name):  # Python makes it anew
                    raise gone(f"{self._prefix}/{name}") from error

    def _add(
        self, name: str, what: str, stats: str, layer: LayerWriter, package: PackageFiles | None
    ) -> None:
        inside = f"{self._root}/{name}"
        if what.startswith(_LINK):
            target = _link_target(f"{self._prefix}/{name}")
            self._require_as_sealed(name, what, f"{_LINK}{target}")
            layer.symlink(inside, self._relocation.link(target))
            return
        mode = 0o755 if int(what.partition(" ")[0], 8) & 0o111 else 0o644
        if name == HISTORY:
            layer.file(inside, self._history, mode)
        elif package is not None:
            layer.file(inside, self._record(package, self._sealed(name, what, stats)), mode)
        elif (size := int(stats.partition(" ")[0])) > _WHOLE:
            self._add_large(name, what, size, mode, layer)
        else:
            data = self._content(name, self._sealed(name, what, stats))
            if data is not None:
                layer.file(inside, data, mode)

    def _sealed(self, name: str, what: str, stats: str) -> bytes:
        """Return the content of a file, which is hashed where it looks unlike when it was sealed.

        Bytecode that Python wrote anew is derived, and no damage, as in `file_list.compare`.
        """
        path = f"{self._prefix}/{name}"
        data, found = _read(path, int(stats.partition(" ")[0]))
        if found == stats:
            return data
        data = read_content(Path(path))
        if not is_cached(name) or found.rpartition(" ")[2] == stats.rpartition(" ")[2]:
            self._require_as_sealed(name, what, hashlib.sha256(data).hexdigest())
        return data

    def _require_as_sealed(self, name: str, what: str, found: str) -> None:
        if found not in {what, what.partition(" ")[2]}:
            raise IntegrityError(
                f"{self._prefix}/{name} is not what it was when the prefix was sealed.",
                f"Mend the prefix, then pack it again: elt-env verify {self._target} --repair",
            )

    def _add_large(self, name: str, what: str, size: int, mode: int, layer: LayerWriter) -> None:
        """Add a file that is too large for memory, and so has to stay as it is."""
        path = f"{self._prefix}/{name}"
        with open_file(Path(path)) as file:
            last, content = b"", hashlib.sha256()
            while data := file.read(1 << 24):
                if self._relocation.concerns(last + data):
                    raise IntegrityError(
                        f"{path} holds the path of its prefix and is too large to be changed.",
                        "Leave the package out of the spec.",
                    )
                last = data[-_OVERLAP:]
                content.update(data)
            self._require_as_sealed(name, what, content.hexdigest())
            file.seek(0)
            layer.copy(f"{self._root}/{name}", file, size, mode)

    def _record(self, package: PackageFiles, data: bytes) -> bytes:
        if package.owner.manager == "conda":
            return self._conda_record(json.loads(data))
        return self._pip_record(data.decode())

    def _pip_record(self, text: str) -> bytes:
        """Return a RECORD with the hashes of what is in the image, its rows sorted."""
        rows = [row for row in csv.reader(io.StringIO(text)) if row and not is_cached(row[0])]
        out = io.StringIO()
        csv.writer(out, lineterminator="\n").writerows(sorted(map(self._row, rows)))
        return out.getvalue().encode()

    def _row(self, row: list[str]) -> list[str]:
        name = os.path.normpath(self._site / row[0]) if "/bin/" in row[0] else ""
        if not name.startswith("bin/"):
            return row
        data = self._moved(name)
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        return [row[0], f"sha256={digest}", str(len(data))]

    def _moved(self, name: str) -> bytes:
        return self._content(name, read_content(Path(self._prefix, name))) or b""

    def _content(self, name: str, data: bytes) -> bytes | None:
        return self._relocation.content(name, data, placed=name in self._placed)

    def _conda_record(self, content: Mapping[str, Any]) -> bytes:
        """Return a record of conda-meta that tells nothing of the machine it was linked on.

        Where the package came from is not told either: a mirror makes no other image.
        """
        record = {key: value for key, value in content.items() if key not in _VOLATILE}
        record["url"] = f"file://{self._place}/pkgs/{record.get('subdir')}/{record['fn']}"
        record["channel"] = _CHANNEL
        record["files"] = sorted(record.get("files", ()))
        paths = [
            self._path_entry(dict(each)) for each in record.get("paths_data", {}).get("paths", ())
        ]
        record["paths_data"] = {
            **record.get("paths_data", {}),
            "paths": sorted(paths, key=lambda each: str(each["_path"])),
        }
        return oci.encode(record) + b"\n"

    def _path_entry(self, entry: dict[str, Any]) -> dict[str, Any]:
        name = entry["_path"]
        is_script = name.startswith("bin/") or entry.get("path_type") == "unix_python_entry_point"
        if entry.get("path_type") == "softlink":
            return self._link_entry(entry)
        if is_cached(name):  # the hash is of bytecode with another header, if it is there at all
            return {key: value for key, value in entry.items() if key != "sha256_in_prefix"}
        if "prefix_placeholder" not in entry and not is_script:
            return entry
        data = self._moved(name)
        digest = hashlib.sha256(data).hexdigest()
        if entry.get("path_type") == "unix_python_entry_point":
            entry["sha256"] = digest
        return entry | {"sha256_in_prefix": digest, "size_in_bytes": len(data)}

    def _link_entry(self, entry: dict[str, Any]) -> dict[str, Any]:
        """Return the entry of a link, with the hash of what the file that it leads to holds."""
        place = Path(self._prefix, entry["_path"])
        if "sha256_in_prefix" not in entry or not place.is_file():
            return entry
        target = os.path.relpath(os.path.realpath(place), os.path.realpath(self._prefix))
        return entry | {"sha256_in_prefix": hashlib.sha256(self._moved(target)).hexdigest()}
