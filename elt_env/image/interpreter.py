"""The Python of a venv in an image: a layer with the interpreter and what makes a venv of it.

An interpreter that keeps its files to itself is copied, and names nothing of this machine then.
That of the operating system stays where it is: the base has it, as a package of Debian.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from elt_env.environment.prefix import Prefix
from elt_env.errors import InputError
from elt_env.image.bases import debian
from elt_env.image.oci.layer import LayerWriter, compressor_version, write_layer
from elt_env.image.packing import FORMAT, unchecked
from elt_env.image.spec import Layer
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import digest_of
from elt_env.project.project import Project
from elt_env.python.interpreters import Interpreter, copying_fault, find_for_venv
from elt_env.python.venv_base import CONFIG, VenvBase, render_config
from elt_env.runtime.input_files import read_stored
from elt_env.store.locks import Store

if TYPE_CHECKING:
    from elt_env.conda.host_channel import Entry

_PLACE = "python"  # of a copied interpreter, below the environment's own


def require_interpreter(lock: Lock, project: Project, store: Store) -> None:
    """Return when an image can have the Python of a lock's prefix, be that built or not.

    Raises:
        InputError: it is a venv of an interpreter that no image on the policy's base can have.
        PolicyError, ToolError: there is nothing to make a venv of.
    """
    if lock.interpreter is None:
        return
    prefix = Prefix(store.prefix_path(lock), lock)
    named = project.environment(lock.target.environment).interpreters
    places = [prefix.base.executable] if prefix.ready and prefix.base else named
    found = find_for_venv(lock.target.python, [project.root / each for each in places])
    reason = _refusal(found, project.policy.image_base)
    if reason:
        name = lock.target.name
        raise InputError(
            f"No image is made of {name}: it is a venv of {found.executable}, which {reason}.",
            f"Take a Python that can be copied, as uv python install {found.minor} or pyenv "
            f'install {found.minor} brings it: interpreters = ["/path/to/python"]; or build an '
            f"image with a Python of its own: elt-env export {name} --format dockerfile",
        )


def _refusal(found: Interpreter, base: str) -> str:
    """Return why an image on such a base cannot have an interpreter, or "" where it can."""
    if not _venv_base(found).of_system:
        return copying_fault(found.executable)
    if base not in {"auto", "debian"}:
        return 'is the operating system\'s: of all bases only image-base = "debian" has it'
    if not debian.is_installed():
        return f"is the operating system's, and {debian.PROGRAM}, which brings it, is not installed"
    return ""


def _venv_base(found: Interpreter) -> VenvBase:
    return VenvBase(found.executable, found.version, "")


def interpreter_layer(
    prefix: Prefix, base: VenvBase, project: Project, images: ImageStore
) -> tuple[Layer, bool]:
    """Return the layer of what a prefix is a venv of, and whether it was written now.

    Raises:
        ToolError: patchelf is missing or fails, or the interpreter cannot compile.
        StorageError: the disk is full or not writable.
    """
    from elt_env.conda.host_channel import RECIPE, relocated_files  # slow to load

    place, compression = project.policy.image_path, project.policy.image_compression
    home = f"{place}/{_PLACE}"
    how = [FORMAT, RECIPE, place, compression, compressor_version(compression)]
    key = digest_of([how, base.identity, base.version, prefix.lock.target.name])
    known = images.known_layer(key)
    if known is not None:
        return known, False

    def fill(layer: LayerWriter) -> None:
        _pack_venv(prefix, base, PurePosixPath(place), layer)
        if not base.of_system:
            found = find_for_venv(prefix.lock.target.python, [base.executable])
            _pack_interpreter(relocated_files(found, home), home.lstrip("/"), layer)

    said = "a venv of the base's Python" if base.of_system else "the interpreter, and a venv of it"
    layer = write_layer(images.layout, compression, f"python: {said}", fill)
    images.keep_layer(key, layer)
    return layer, True


def _pack_venv(prefix: Prefix, base: VenvBase, place: PurePosixPath, layer: LayerWriter) -> None:
    """Add what makes a venv of a directory (PEP 405)."""
    name = base.executable.name
    there = base.executable if base.of_system else place / _PLACE / "bin" / name
    managed = prefix.library / "EXTERNALLY-MANAGED"
    root = str(place).lstrip("/")
    layer.symlink(f"{root}/bin/python", str(there))
    for link in ("python3", name):
        layer.symlink(f"{root}/bin/{link}", "python")
    layer.file(f"{root}/{managed.relative_to(prefix.path)}", read_stored(managed))
    layer.file(f"{root}/{CONFIG}", render_config(there, base.version).encode())


def _pack_interpreter(files: Iterable[Entry], root: str, layer: LayerWriter) -> None:
    """Add an interpreter below `root`; no file of it is edited in an image (PEP 552)."""
    for each in files:
        name = f"{root}/{each.path}"
        if each.link:
            layer.symlink(name, each.link)
        else:
            data = unchecked(each.content) if name.endswith(".pyc") else each.content
            layer.file(name, data, 0o755 if each.executable else 0o644)
