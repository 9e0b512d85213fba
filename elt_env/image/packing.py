"""Writes the files of packages into a layer, as they are when the prefix lives in an image."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from elt_env.environment import conda_history
from elt_env.environment.conda_meta import HISTORY
from elt_env.environment.prefix import Prefix
from elt_env.environment.relocation import Relocation
from elt_env.errors import IntegrityError
from elt_env.image import spec as oci
from elt_env.image.files import PackageFiles, gone
from elt_env.image.oci.layer import LayerWriter
from elt_env.image.source import source_date
from elt_env.lockfile.document import Lock
from elt_env.python.bytecode import is_cached
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


def _read(path: str, size: int) -> bytes:
    """Return a file of `size` bytes; with as few calls as can be, for there are so many files."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        data = os.read(handle, size + 1)
    finally:
        os.close(handle)
    if len(data) != size:
        raise EOFError(f"{path} has {len(data)} bytes, not {size}")
    return data


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
        self._history = history(prefix.lock)
        self._placed: set[str] = set()
        self._site = prefix.site_packages.relative_to(prefix.path)
        self._place = place
        self._root = place.lstrip("/")
        self._relocation = Relocation(prefix.path, place)

    def pack(self, packages: Sequence[PackageFiles], layer: LayerWriter) -> None:
        """Add the files of packages in the order of their names.

        Raises:
            IntegrityError: a file is gone, or cannot live at another path.
            CancelledError: it was given up.
        """
        records = {each.record: each for each in packages}
        self._placed = {name for each in packages for name in each.placed}
        stats = {name: found for each in packages for name, found in each.stats.items()}
        for name, found in sorted(stats.items()):
            go_on()
            try:
                self._add(name, found, layer, records.get(name))
            except (FileNotFoundError, EOFError) as error:
                raise gone(f"{self._prefix}/{name}") from error

    def _add(
        self, name: str, found: os.stat_result, layer: LayerWriter, package: PackageFiles | None
    ) -> None:
        path = f"{self._prefix}/{name}"
        inside = f"{self._root}/{name}"
        mode = 0o755 if found.st_mode & 0o111 else 0o644
        if stat.S_ISLNK(found.st_mode):
            target = os.readlink(path)  # noqa: PTH115  # as in _read
            layer.symlink(inside, self._relocation.link(target))
        elif name == HISTORY:
            layer.file(inside, self._history, mode)
        elif package is not None:
            layer.file(inside, self._record(package, _read(path, found.st_size)), mode)
        elif found.st_size > _WHOLE:
            self._add_large(path, inside, found.st_size, mode, layer)
        else:
            data = self._content(name, _read(path, found.st_size))
            if data is not None:
                layer.file(inside, data, mode)

    def _add_large(self, path: str, inside: str, size: int, mode: int, layer: LayerWriter) -> None:
        """Add a file that is too large for memory, and so has to stay as it is."""
        with open_file(Path(path)) as file:
            last = b""
            while data := file.read(1 << 24):
                if self._relocation.concerns(last + data):
                    raise IntegrityError(
                        f"{path} holds the path of its prefix and is too large to be changed.",
                        "Leave the package out of the spec.",
                    )
                last = data[-_OVERLAP:]
            file.seek(0)
            layer.copy(inside, file, size, mode)

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
