"""Unpacks an image into a directory, which is there complete or not at all.

The rules are those of layer.md of the OCI Image Format Specification 1.1.
"""

# Paths are strings here: there are tens of thousands of files.
# ruff: noqa: PTH101, PTH102, PTH106, PTH108, PTH112, PTH114, PTH123, PTH208, PTH211
from __future__ import annotations

import contextlib
import errno
import os
import shutil
import stat
import tarfile
from pathlib import Path

from elt_env.errors import IntegrityError
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.reader import layer_content, read_image
from elt_env.image.spec import Descriptor
from elt_env.machine.process import Say
from elt_env.package.canonical import short
from elt_env.runtime.file_lock import file_lock
from elt_env.runtime.files import remove_tree, writing
from elt_env.store.last_use import mark_used

_WAIT = 900.0  # seconds for another process to unpack the same image
_REMEDY = "Wait for it or end it, then run the same command."
_PIECE = 1 << 20
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
    tree.finish()


class _Tree:
    """A directory that layers are applied to, one after the other."""

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._is_root = os.geteuid() == 0
        self._layer = ""
        self._real = {""}  # directories that were seen to be some, and no links
        self._mine: set[str] = set()  # what came with the layer at hand
        self._directories: dict[str, tarfile.TarInfo] = {}

    def apply(self, tar: tarfile.TarFile, layer: str) -> None:
        """Apply a layer, named so in messages.

        Raises:
            IntegrityError: an entry would land outside of the root, or is none that can be made.
        """
        self._layer = layer
        self._mine = set()
        for entry in tar:
            name = self._checked(entry.name)
            directory, _, base = name.rpartition("/")
            try:
                self._require_directory(directory)
                if base == _OPAQUE:
                    self._hide_below(directory)
                elif base.startswith(_WHITEOUT):
                    self._hide(self._hidden(entry.name, directory, base))
                else:
                    self._add(name, entry, tar)
            except OSError as error:
                if error.errno in _UNUSABLE:
                    raise self._refusal(entry.name, os.strerror(error.errno)) from error
                raise

    def finish(self) -> None:
        """Give directories the modes and times that adding to them would have changed."""
        for name in sorted(self._directories, reverse=True):
            entry = self._directories[name]
            path = f"{self._root}/{name}"
            self._own(path, entry)
            os.chmod(path, entry.mode & 0o7777 if self._is_root else entry.mode & 0o777 | 0o700)
            os.utime(path, (entry.mtime, entry.mtime))

    def _checked(self, name: str) -> str:
        """Return a path below the root, without dots.

        Raises:
            IntegrityError: it is none.
        """
        parts = [each for each in name.split("/") if each not in ("", ".")]
        if name.startswith("/") or ".." in parts:
            raise self._refusal(name, "it lies outside of the root")
        return "/".join(parts)

    def _hidden(self, name: str, directory: str, base: str) -> str:
        """Return what a whiteout hides."""
        hidden = base.removeprefix(_WHITEOUT)
        if hidden in ("", ".", ".."):
            raise self._refusal(name, "it hides no name")
        return f"{directory}/{hidden}" if directory else hidden

    def _refusal(self, name: str, reason: str) -> IntegrityError:
        return IntegrityError(
            f"The entry {name!r} of the layer {self._layer} cannot be unpacked: {reason}.",
            "Do not use this image; take its base from a source that can be trusted.",
        )

    def _require_directory(self, name: str) -> None:
        """Make the directory and those above it, none of which may be a link."""
        if not name or (name in self._real and name in self._mine):
            return
        self._require_directory(name.rpartition("/")[0])
        self._mine.add(name)
        if name in self._real:
            return
        path = f"{self._root}/{name}"
        try:
            if not stat.S_ISDIR(os.lstat(path).st_mode):
                raise self._refusal(name, "something above it is no directory")
        except FileNotFoundError:
            os.mkdir(path, 0o755)
        self._real.add(name)

    def _add(self, name: str, entry: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        self._mine.add(name)
        path = f"{self._root}/{name}"
        if entry.isdir():
            self._clear(name, unless_directory=True)
            self._require_directory(name)
            self._directories[name] = entry
            return
        self._clear(name)
        if entry.islnk():
            self._link(path, entry)
        elif entry.issym():
            os.symlink(entry.linkname, path)
            self._own(path, entry)
        elif entry.isreg():
            self._write(path, entry, tar)
        else:
            self._special(path, entry)

    def _write(self, path: str, entry: tarfile.TarInfo, tar: tarfile.TarFile) -> None:
        # extractfile() puts two buffers and a lock between; only holes need it.
        content = tar.extractfile(entry) if entry.issparse() else tar.fileobj
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(handle, "wb", buffering=0) as file:
            left = entry.size
            while content is not None and left and (data := content.read(min(left, _PIECE))):
                file.write(data)
                left -= len(data)
            if left:
                raise self._refusal(entry.name, "it ends early")
            if self._is_root:
                os.fchown(handle, entry.uid, entry.gid)
            os.fchmod(handle, entry.mode & (0o7777 if self._is_root else 0o777))
            os.utime(handle, (entry.mtime, entry.mtime))

    def _link(self, path: str, entry: tarfile.TarInfo) -> None:
        target = self._checked(entry.linkname)
        self._require_directory(target.rpartition("/")[0])
        source = f"{self._root}/{target}"
        if not os.path.lexists(source) or stat.S_ISDIR(os.lstat(source).st_mode):
            reason = f"it is a hard link to '{target}', which is no file there"
            raise self._refusal(entry.name, reason)
        os.link(source, path, follow_symlinks=False)

    def _special(self, path: str, entry: tarfile.TarInfo) -> None:
        kinds = {tarfile.FIFOTYPE: stat.S_IFIFO}
        if self._is_root:
            kinds |= {tarfile.CHRTYPE: stat.S_IFCHR, tarfile.BLKTYPE: stat.S_IFBLK}
        if entry.type not in kinds:
            return
        device = os.makedev(entry.devmajor, entry.devminor)
        # Containers may not make devices; whoever runs the image brings its own.
        with contextlib.suppress(PermissionError):
            os.mknod(path, kinds[entry.type] | entry.mode & 0o777, device)
            self._own(path, entry)

    def _own(self, path: str, entry: tarfile.TarInfo) -> None:
        if self._is_root:
            os.lchown(path, entry.uid, entry.gid)

    def _clear(self, name: str, *, unless_directory: bool = False) -> None:
        """Remove what has that name, be it of this layer or a lower one."""
        path = f"{self._root}/{name}"
        try:
            is_directory = stat.S_ISDIR(os.lstat(path).st_mode)
        except FileNotFoundError:
            return
        if not is_directory:
            os.unlink(path)
        elif not unless_directory:
            if not name:
                raise self._refusal(name, "it would take the place of the root")
            shutil.rmtree(path)
            self._forget(name)

    def _hide(self, name: str) -> None:
        """Remove what lower layers have under that name, as a whiteout asks."""
        path = f"{self._root}/{name}"
        if os.path.isdir(path) and not os.path.islink(path):
            self._hide_below(name)
            if name not in self._mine:
                os.rmdir(path)
                self._forget(name)
        elif name not in self._mine:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)

    def _hide_below(self, name: str) -> None:
        for each in os.listdir(f"{self._root}/{name}"):
            self._hide(f"{name}/{each}" if name else each)

    def _forget(self, name: str) -> None:
        """Forget what was known of a directory that is gone, and of those in it."""
        gone = {each for each in self._real if f"{each}/".startswith(f"{name}/")}
        self._real -= gone
        for each in gone:
            self._directories.pop(each, None)
