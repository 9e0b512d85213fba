"""The user that an image runs as: /etc/passwd and /etc/group, passwd(5) and group(5)."""

from __future__ import annotations

import tarfile
from collections.abc import Iterable, Sequence

from elt_env.image.bases.base import Request
from elt_env.image.oci.layer import LayerWriter, write_layer
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import layer_content
from elt_env.image.spec import Layer

UID = 1000
HOME = "home/elt"
PASSWD, GROUP = "etc/passwd", "etc/group"

_NAME = "elt"
_PASSWD_LINE = f"{_NAME}:x:{UID}:{UID}::/{HOME}:/bin/sh"
_GROUP_LINE = f"{_NAME}:x:{UID}:"
_NUMBER = 2  # the field with the number, in both files
_ROOT = "root:x:0:0:root:/root:/bin/sh\n"
_ROOT_GROUP = "root:x:0:\n"


def with_user(passwd: str) -> str:
    """Return /etc/passwd with the user `elt`, if nobody has its number yet."""
    return _with_line(passwd or _ROOT, _PASSWD_LINE)


def with_group(group: str) -> str:
    """Return /etc/group with the group `elt`, if none has its number yet."""
    return _with_line(group or _ROOT_GROUP, _GROUP_LINE)


def _with_line(text: str, line: str) -> str:
    if str(UID) in _column(text, _NUMBER):
        return text
    return f"{text.rstrip()}\n{line}\n"


def _column(text: str, number: int) -> set[str]:
    rows = (line.split(":") for line in text.splitlines())
    return {row[number] for row in rows if len(row) > number}


def user_layer(layers: Sequence[Layer], request: Request) -> tuple[Layer, ...]:
    """Return a small layer with the user `elt` and its home; none where the layers have them.

    Raises:
        IntegrityError: a layer is no tar archive, or not what its config says.
        StorageError: the disk is full or not writable.
    """
    passwd, group = accounts(request.layout, layers)
    if _NAME in _column(passwd, 0) and str(UID) in _column(passwd, _NUMBER):
        return ()

    def fill(layer: LayerWriter) -> None:
        layer.file(PASSWD, _encoded(with_user(passwd)))
        layer.file(GROUP, _encoded(with_group(group)))
        layer.directory(HOME, 0o750, UID)
        layer.directory("tmp", 0o1777)

    return (write_layer(request.layout, request.compression, "base: the user elt", fill),)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def accounts(layout: Layout, layers: Iterable[Layer]) -> tuple[str, str]:
    """Return /etc/passwd and /etc/group of an image, "" for one that it lacks.

    Raises:
        IntegrityError: a layer is no tar archive, or not what its config says.
    """
    found = {PASSWD: "", GROUP: ""}
    for layer in layers:
        with layer_content(layout, layer) as archive:
            _apply(archive, found)
    return found[PASSWD], found[GROUP]


def _apply(archive: tarfile.TarFile, found: dict[str, str]) -> None:
    """Change what was found to what it is with one more layer (layer.md, whiteouts)."""
    fresh: dict[str, str] = {}
    hidden: set[str] = set()
    for member in archive:
        name = member.name.removeprefix("./").strip("/")
        if name in found:
            file = archive.extractfile(member) if member.isfile() else None
            fresh[name] = file.read().decode("utf-8", "surrogateescape") if file else ""
        elif name in {"etc/.wh..wh..opq", ".wh..wh..opq", ".wh.etc"}:
            hidden.update(found)
        elif name.startswith("etc/.wh."):
            hidden.add(name.replace("/.wh.", "/"))
    for name in found:
        if name in fresh or name in hidden:
            found[name] = fresh.get(name, "")
