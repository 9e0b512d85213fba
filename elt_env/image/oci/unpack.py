"""Unpacks an image into a directory, which is there complete or not at all.

The rules are those of layer.md of the OCI Image Format Specification 1.1.
"""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH102, PTH106, PTH112, PTH114, PTH208
from __future__ import annotations

import errno
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

from elt_env.errors import IntegrityError
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import layer_content, read_image
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import remove, remove_tree, writing
from elt_env.store.last_use import mark_used

_WAIT = 900.0  # seconds for another process to unpack the same image
_REMEDY = "Wait for it or end it, then run the same command."
_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_UNUSABLE = (errno.ENAMETOOLONG, errno.EINVAL, errno.ELOOP, errno.ENOTDIR, errno.EILSEQ)


def ensure_root(layout: Layout, manifest: Descriptor, roots: Path, say: Say) -> Path:
    """Return the root directory of an image, unpacked below `roots` if it is not yet there.

    It appears under its name in one rename, when every layer has had its diff_id; what an
    interrupted call left is cleared. As root, owners, modes and devices are the image's. An
    ordinary user owns everything: set-user-id bits and devices are left out, and directories
    stay writable to be removable. Extended attributes are left out.

    Raises:
        IntegrityError: a blob is gone or damaged, or an entry would land outside of the root.
        StorageError: the disk is full or not writable.
        BusyError: another process is at it for longer than it can take.
    """
    root = roots / short(manifest.digest)
    new = root.with_name(f".new-{root.name}")
    if mark_used(root):
        return root
    lock_file = root.with_name(f".{root.name}.lock")
    # An image of a distribution has programs with the set-user-id bit: nobody else's to reach.
    with file_lock(lock_file, _WAIT, f"unpacking {root}", _REMEDY, mode=0o700):
        if mark_used(root):
            return root
        with writing(root):
            remove_tree(new)
            try:
                new.mkdir()
                _unpack(layout, manifest, new, say)
                new.replace(root)
            finally:
                remove_tree(new)
    return root


def _unpack(layout: Layout, manifest: Descriptor, root: Path, say: Say) -> None:
    image = read_image(layout, manifest)
    size = sum(each.blob.size for each in image.layers)
    say(f"image: unpacking {len(image.layers)} layers, {size / 1e6:.0f} MB")
    tree = _Tree(root)
    for layer in image.layers:
        with layer_content(layout, layer) as tar:
            tree.apply(tar, layer.blob.digest)


class _Tree:
    """A directory that layers are applied to, one after the other.

    What a layer enters as a directory stays one until its end, so that nothing is made, and no
    mode is set at the end, behind a link.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._is_root = os.geteuid() == 0
        self._layer = self._at = ""
        self._entered: set[str] = set()  # directories of the layer at hand, no links
        self._mine: set[str] = set()  # all that came with it

    def apply(self, tar: tarfile.TarFile, layer: str) -> None:
        """Apply a layer, named so in messages.

        Raises:
            IntegrityError: an entry would land outside of the root, or is none that can be made.
        """
        self._layer, self._at = layer, ""
        self._entered, self._mine = {""}, set()
        tar.extraction_filter = lambda member, _: member  # _due has judged it
        try:
            tar.extractall(self._root, self._due(tar), numeric_owner=True)  # noqa: S202  # as above
        except OSError as error:
            if error.errno in _UNUSABLE:
                raise self._refusal(os.strerror(error.errno)) from error
            raise

    def _due(self, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
        """Yield what is to be extracted, when there is a place for it; do what else is asked."""
        for entry in tar:
            self._at = entry.name
            entry.name = self._checked(entry.name)
            above, _, base = entry.name.rpartition("/")
            self._enter(above)
            if base == _OPAQUE:
                self._hide_below(above)
            elif base.startswith(_WHITEOUT):
                self._hide(_below(above, self._hidden(base)))
            elif self._has_place(entry):
                yield entry

    def _checked(self, name: str) -> str:
        """Return a path below the root, without dots.

        Raises:
            IntegrityError: it is none.
        """
        parts = [each for each in name.split("/") if each not in ("", ".")]
        if name.startswith("/") or ".." in parts:
            raise self._refusal("it lies outside of the root")
        return "/".join(parts)

    def _hidden(self, base: str) -> str:
        """Return the name that a whiteout hides."""
        hidden = base.removeprefix(_WHITEOUT)
        if hidden in ("", ".", ".."):
            raise self._refusal("it hides no name")
        return hidden

    def _refusal(self, reason: str) -> IntegrityError:
        return IntegrityError(
            f"The entry {self._at!r} of the layer {self._layer} cannot be unpacked: {reason}.",
            "Do not use this image; take its base from a source that can be trusted.",
        )

    def _enter(self, name: str) -> None:
        """Make the directory and those above it, none of which may be a link."""
        if name in self._entered:
            return
        self._enter(name.rpartition("/")[0])
        path = f"{self._root}/{name}"
        if not os.path.lexists(path):
            os.mkdir(path, 0o755)
        elif not _is_directory(path):
            raise self._refusal("something above it is no directory")
        self._entered.add(name)

    def _has_place(self, entry: tarfile.TarInfo) -> bool:
        """Make room for an entry of any layer; return whether it is left to be extracted.

        Devices are not: whoever runs the image brings its own.
        """
        path = f"{self._root}/{entry.name}"
        if not entry.isdir() and entry.name in self._entered:
            raise self._refusal("it would take the place of a directory of its own layer")
        if not (entry.isdir() and _is_directory(path)):
            remove(Path(path))
        self._mine.add(entry.name)
        if entry.isdir():
            self._enter(entry.name)
        if not self._is_root:
            entry.mode = entry.mode & 0o777 | (0o700 if entry.isdir() else 0)
        if entry.islnk():
            self._link(path, entry)
            return False
        return entry.isreg() or entry.isdir() or entry.issym() or entry.isfifo()

    def _link(self, path: str, entry: tarfile.TarInfo) -> None:
        target = self._checked(entry.linkname)
        self._enter(target.rpartition("/")[0])
        source = f"{self._root}/{target}"
        if not os.path.lexists(source) or _is_directory(source):
            raise self._refusal(f"it is a hard link to '{target}', which is no file there")
        os.link(source, path, follow_symlinks=False)

    def _hide(self, name: str) -> None:
        """Remove what lower layers have under that name, as a whiteout asks."""
        path = f"{self._root}/{name}"
        if _is_directory(path):
            self._hide_below(name)
            if name not in self._entered:
                os.rmdir(path)
        elif name not in self._mine:
            remove(Path(path))

    def _hide_below(self, name: str) -> None:
        for each in os.listdir(f"{self._root}/{name}"):
            self._hide(_below(name, each))


def _below(directory: str, name: str) -> str:
    return f"{directory}/{name}" if directory else name


def _is_directory(path: str) -> bool:
    return os.path.isdir(path) and not os.path.islink(path)
