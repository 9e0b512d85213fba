"""The images of a prefix, beside what else can pack it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from benchmarks.side_by_side import Contender, extent, files, program
from elt_env.environment.prefix import Prefix
from elt_env.image.pack import pack, prepare_base
from elt_env.lockfile.document import Lock
from elt_env.machine.process import unheard
from elt_env.runtime.files import sha256_of
from elt_env.store.locks import Store
from elt_env.tools import Tools

FLOOR = "read and sha256 every file"
ANEW, CHANGED, UNCHANGED = (f"image, {each}" for each in ("anew", "one changed", "nothing changed"))
_HOME = "image"  # the store of this project's packer


def packers(prefix: Path) -> tuple[Contender, ...]:
    """Return the floor and other people's packers."""
    return (
        Contender(FLOOR, lambda _: _hash(prefix)),
        Contender("tar | zstd -T2 -3", lambda place: _tar(prefix, place), needs=("tar", "zstd")),
        Contender("buildah", lambda place: _buildah(prefix, place), needs=("buildah",)),
    )


def _hash(prefix: Path) -> int:
    for path in files(prefix):
        sha256_of(path)
    return 0


def _tar(prefix: Path, place: Path) -> int:
    archive = place / "prefix.tar.zst"
    compressor = "--use-compress-program=zstd -T2 -3 --quiet"
    program(["tar", "--create", compressor, f"--file={archive}", "."], prefix)(place)
    return archive.stat().st_size


def _buildah(prefix: Path, place: Path) -> int:
    """Write an OCI layout, compressed as for a registry, with a store of its own."""
    own = place / "buildah"
    buildah = ["buildah", f"--root={own}/root", f"--runroot={own}/run", "--storage-driver=vfs"]
    name, image = "elt-env-benchmark", f"oci:{own}/layout:image"
    for command in (
        ["from", "--isolation=chroot", f"--name={name}", "scratch"],
        ["copy", name, str(prefix), "/opt/elt"],
        ["commit", "--disable-compression=false", name, image],
    ):
        program([*buildah, *command], place)(place)
    return extent(own / "layout")[1]


class Images:
    """This project's packer, with a store of its own in every round: only prefixes are shared.

    The base is there before the clock starts, for the peers pack none.

    Args:
        prefix: what is packed.
        changed: builds in a round the prefix that has one package changed, and returns its lock
            and the store in which it is.
    """

    def __init__(
        self, prefix: Prefix, tools: Tools, changed: Callable[[Path], tuple[Lock, Store]]
    ) -> None:
        self._lock = prefix.lock
        self._tools = tools
        self._change = changed
        self._changed: tuple[Lock, Store] | None = None

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """Packing where nothing can be reused, again, and where one package is another one."""
        return (
            Contender(ANEW, self._pack, self._prepare),
            Contender(UNCHANGED, self._pack),
            Contender(CHANGED, self._pack_changed, self._prepare_changed),
        )

    def _prepare(self, place: Path) -> None:
        """Give the round a store with nothing but the base, which is made once."""
        seed = place.parent / _HOME
        if not seed.exists():
            prepare_base(
                self._lock, self._tools.project, _Scratch(seed, self._tools.store), unheard
            )
        shutil.copytree(seed, place / _HOME)

    def _pack(self, place: Path) -> int:
        return self._packed(self._lock, place, self._tools.store)

    def _prepare_changed(self, place: Path) -> None:
        self._changed = self._change(place)

    def _pack_changed(self, place: Path) -> int:
        lock, store = self._changed or (self._lock, self._tools.store)
        return self._packed(lock, place, store)

    def _packed(self, lock: Lock, place: Path, prefixes: Store) -> int:
        store = _Scratch(place / _HOME, prefixes)
        return pack(lock, replace(self._tools, store=store).project, store, unheard).image.size


class _Scratch(Store):
    """A store that has the prefixes of another one."""

    def __init__(self, home: Path, other: Store) -> None:
        super().__init__(home)
        self._other = other

    def prefix_path(self, lock: Lock) -> Path:
        return self._other.prefix_path(lock)
