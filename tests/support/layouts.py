"""Hand-made layers and images."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from elt_env.image import spec as oci
from elt_env.image.oci.layer import Compression, write_tar
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Descriptor, ImageConfig, Layer, Manifest

Entry = tuple[tarfile.TarInfo, bytes]


def a_file(name: str, data: bytes = b"", mode: int = 0o644, *, uid: int = 0, gid: int = 0) -> Entry:
    return _entry(name, tarfile.REGTYPE, mode, data=data, owner=(uid, gid))


def a_directory(name: str, mode: int = 0o755, *, uid: int = 0, gid: int = 0) -> Entry:
    return _entry(name, tarfile.DIRTYPE, mode, owner=(uid, gid))


def a_symlink(name: str, target: str) -> Entry:
    return _entry(name, tarfile.SYMTYPE, 0o777, target=target)


def a_hard_link(name: str, target: str) -> Entry:
    return _entry(name, tarfile.LNKTYPE, 0o644, target=target)


def a_device(name: str) -> Entry:
    info, data = _entry(name, tarfile.CHRTYPE, 0o666)
    info.devmajor, info.devminor = 1, 3
    return info, data


def _entry(
    name: str,
    kind: bytes,
    mode: int,
    *,
    data: bytes = b"",
    target: str = "",
    owner: tuple[int, int] = (0, 0),
) -> Entry:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.linkname = kind, mode, len(data), target
    info.mtime = 1_000_000_000
    info.uid, info.gid = owner
    return info, data


def tar_of(entries: Iterable[Entry]) -> bytes:
    """Return a tar of those entries, in their order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in entries:
            tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


def add_layer(
    layout: Layout, entries: Iterable[Entry], compression: Compression = "zstd", holds: str = "test"
) -> Layer:
    """Keep a layer of those entries."""
    return write_tar(layout, compression, holds, io.BytesIO(tar_of(entries)))


def add_image(
    layout: Layout, layers: Sequence[Layer], name: str = "test", **run: Any
) -> Descriptor:
    """Keep an image of those layers under a name; `run` are fields of its config."""
    config = ImageConfig(
        architecture="amd64",
        created="1980-01-01T00:00:00Z",
        diff_ids=tuple(each.diff_id for each in layers),
        holds=tuple(each.holds for each in layers),
        **run,
    )
    blob = layout.add(config.to_bytes(), oci.CONFIG)
    content = Manifest(blob, tuple(each.blob for each in layers))
    manifest = layout.add(content.to_bytes(), oci.MANIFEST)
    layout.name(name, manifest)
    return manifest


def image_of(path: Path, *layers: Iterable[Entry], **run: Any) -> tuple[Layout, Descriptor]:
    """Return a new layout, and the image in it with those layers."""
    layout = Layout(path)
    return layout, add_image(layout, [add_layer(layout, each) for each in layers], **run)


def programs_of_host(*names: str) -> list[Entry]:
    """Return this machine's programs of those names in `bin`, with the libraries that they load."""
    entries, libraries = [], set()
    for name in names:
        path = shutil.which(name)
        assert path is not None, name
        entries.append(a_file(f"bin/{name}", Path(path).read_bytes(), 0o755))
        listed = subprocess.run(["ldd", path], check=True, capture_output=True, text=True)
        libraries.update(re.findall(r"(/\S+) \(0x", listed.stdout))
    return [*entries, *(a_file(each[1:], Path(each).read_bytes(), 0o755) for each in libraries)]


USERS = [
    a_file("etc/passwd", b"root:x:0:0::/root:/bin/sh\nelt:x:1000:1000::/home/elt:/bin/sh\n"),
    a_file("etc/group", b"root:x:0:\nelt:x:1000:\nstaff:x:50:\n"),
    a_directory("home/elt", uid=1000, gid=1000),
]
"""The entries that make users known to an image."""
