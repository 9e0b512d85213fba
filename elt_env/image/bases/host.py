"""A base of this machine's own files: its C library, and what the environment needs besides.

It has the loader and the libraries, a shell, certificates, time zones and accounts, and no package
manager, in the manner of https://github.com/GoogleContainerTools/distroless.
"""

from __future__ import annotations

import os
import ssl
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from elt_env.environment.elf import is_elf, read_elf
from elt_env.environment.native_code import load_each
from elt_env.environment.prefix import Prefix
from elt_env.errors import ToolError
from elt_env.image.bases.base import Base, BuiltBase, Request
from elt_env.image.bases.needs import needed_of_system, packages_of, system_places
from elt_env.image.bases.users import GROUP, HOME, PASSWD, UID, with_group, with_user
from elt_env.image.oci.layer import LayerWriter, write_layer
from elt_env.machine.system_libraries import system_libraries
from elt_env.runtime.input_files import read_content, read_stored_text

# Links of this kind decide where everything else is (usrmerge).
_TOP = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_PROGRAMS = (Path("/bin/sh"), Path("/usr/bin/env"))
_C_LIBRARY = "libc.so.6"
# What programs load without naming it in their ELF files, or what old glibc kept apart; of what
# PEP 599 lets wheels expect, what a machine without a screen has.
_ALWAYS = (
    _C_LIBRARY,
    *("libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1", "libresolv.so.2"),
    *("libnss_files.so.2", "libnss_dns.so.2", "libgcc_s.so.1", "libstdc++.so.6"),
)
_LOADERS = ("ld-", "ld.", "ld64.")
_CERTIFICATES = (
    *("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt"),
    *("/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"),
)
_BUNDLE = _CERTIFICATES[0]
# Where the OpenSSL of a distribution looks for it by itself.
_OPENSSL = ("/usr/lib/ssl/cert.pem", "/etc/pki/tls/cert.pem")
_LOCALE = Path("/usr/lib/locale/C.utf8")
_ZONES = Path("/usr/share/zoneinfo")
_RELEASES = (Path("/etc/os-release"), Path("/usr/lib/os-release"))
# Twice the same zones, and a file that links to the machine's own.
_OTHER_ZONES = frozenset({"posix", "right", "localtime", "posixrules"})
_ACCOUNTS = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"
_GROUPS = "root:x:0:\nnogroup:x:65534:\n"
_NAMES = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\n"
_LINKS = 40  # as the kernel allows on one way, path_resolution(7)


@dataclass(frozen=True)
class _Directory:
    mode: int
    owner: int


@dataclass(frozen=True)
class _Link:
    target: str


class HostTree:
    """Files of this machine at the paths they have here, with the links on the way to them.

    Who owns them, their times and all of their modes but the executable bit do not go along.

    Attributes:
        sources: the files that were read.
    """

    def __init__(self) -> None:
        self.sources: set[Path] = set()
        self._entries: dict[str, _Directory | _Link | Path | bytes] = {}

    def directory(self, name: str, mode: int = 0o755, owner: int = 0) -> None:
        """Add a directory of the image's own."""
        self._entries[name] = _Directory(mode, owner)

    def text(self, name: str, text: str) -> None:
        """Add a file of the image's own."""
        self._entries[name] = text.encode()

    def link(self, name: str, target: str) -> None:
        """Add a link of the image's own, where nothing else is."""
        self._entries.setdefault(name, _Link(target))

    def host(self, path: Path) -> None:
        """Add what is at `path` on this machine: a file, or a directory without its content.

        Raises:
            ToolError: its links lead nowhere.
        """
        done, left, links = "", deque(path.parts[1:]), 0
        while left:
            part = left.popleft()
            if part == "..":
                done = os.path.dirname(done)  # noqa: PTH120  # of a text, not of a path here
                continue
            here = f"{done}/{part}".lstrip("/")
            full = Path("/", here)
            if not full.is_symlink():
                done = here
                continue
            target, links = full.readlink(), links + 1
            self._entries[here] = _Link(str(target))
            left.extendleft(reversed(target.parts[1:] if target.is_absolute() else target.parts))
            done = "" if target.is_absolute() else done
            if links > _LINKS:
                raise _unreadable(path)
        self._add(path, Path("/", done))

    def _add(self, path: Path, real: Path) -> None:
        name = str(real).lstrip("/")
        if real.is_file():
            self._entries[name] = real
            self.sources.add(real)
        elif real.is_dir():
            self._entries.setdefault(name, _Directory(0o755, 0))
        else:
            raise _unreadable(path)

    def host_all(self, path: Path, *, but: frozenset[str] = frozenset()) -> None:
        """Add a directory of this machine with all files below it, but for those names."""
        for place, directories, names in os.walk(path):
            directories[:] = [each for each in directories if each not in but]
            for name in names:
                if name not in but and Path(place, name).exists():
                    self.host(Path(place, name))

    def write(self, layer: LayerWriter) -> None:
        """Add everything to a layer, sorted by name."""
        for name, entry in sorted(self._entries.items()):
            if isinstance(entry, _Directory):
                layer.directory(name, entry.mode, entry.owner)
            elif isinstance(entry, _Link):
                layer.symlink(name, entry.target)
            elif isinstance(entry, bytes):
                layer.file(name, entry)
            else:
                mode = 0o755 if entry.stat().st_mode & 0o111 else 0o644
                layer.file(name, read_content(entry), mode)


def _unreadable(path: Path) -> ToolError:
    return ToolError(
        f"{path} of this machine cannot be read: its links lead nowhere.",
        'Mend it, or set image-base to something else than "host".',
    )


def make_host(prefix: Prefix, request: Request) -> BuiltBase:
    """Make one layer of this machine's files; the same files give the same layer.

    Raises:
        ToolError: this machine has no such C library, no shell, or no certificates.
        StorageError: the disk is full or not writable.
    """
    tree = HostTree()
    _add_frame(tree)
    libraries = _add_libraries(prefix, tree)
    _add_data(tree)
    others = len(libraries - {_C_LIBRARY} - {each for each in libraries if _is_loader(each)})
    version = (os.confstr("CS_GNU_LIBC_VERSION") or "glibc").strip()
    said = f"this machine's own C library ({version}) and {others} system libraries"
    layer = write_layer(request.layout, request.compression, f"base: {said}", tree.write)
    packages = packages_of(tree.sources)
    return BuiltBase(Base("host", said, (layer,), packages=packages), frozenset(tree.sources))


def _add_frame(tree: HostTree) -> None:
    for name in _TOP:
        if Path("/", name).is_dir():
            tree.host(Path("/", name))
    for name in ("dev", "etc", "opt", "proc", "run", "sys", "usr/local", "var/lib"):
        tree.directory(name)
    for name in ("tmp", "var/tmp"):
        tree.directory(name, 0o1777)
    tree.directory("root", 0o700)
    tree.directory(HOME, 0o750, UID)
    tree.text(PASSWD, with_user(_ACCOUNTS))
    tree.text(GROUP, with_group(_GROUPS))
    tree.text("etc/nsswitch.conf", _NAMES)


def _add_data(tree: HostTree) -> None:
    _add_certificates(tree)
    if _LOCALE.is_dir():
        tree.host_all(_LOCALE)
    if _ZONES.is_dir():
        tree.host_all(_ZONES, but=_OTHER_ZONES)
        tree.link("etc/localtime", str(_ZONES / "Etc/UTC"))
    for each in _RELEASES:
        if each.is_file():
            tree.host(each)


def _add_certificates(tree: HostTree) -> None:
    """Add the bundle of certificates under the name that it has here, and under the others."""
    mine = ssl.get_default_verify_paths().cafile
    found = [each for each in (*_CERTIFICATES, mine) if each and Path(each).is_file()]
    if not found:
        raise ToolError(
            "This machine has no certificates of authorities, so nothing in the image could use "
            "TLS.",
            "Install ca-certificates, then run the same command again.",
        )
    bundle = Path(os.path.realpath(found[0]))
    tree.sources.add(bundle)
    tree.text(_BUNDLE.lstrip("/"), read_stored_text(bundle, errors="replace"))
    for each in (*_CERTIFICATES[1:], *_OPENSSL):
        tree.link(each.lstrip("/"), _BUNDLE)


def _add_libraries(prefix: Prefix, tree: HostTree) -> set[str]:
    """Add what the prefix and the programs are loaded with; return the libraries' names."""
    system = system_libraries()
    shape = read_elf(prefix.python).shape
    found = {name: system_places(name, system, shape) for name in _ALWAYS}
    programs = [*_PROGRAMS, *(places[0] for places in found.values() if places)]
    loading = load_each([read_elf(each) for each in programs if is_elf(each)], system)
    for name in {*needed_of_system(prefix, system), *(name for name, _ in loading.found)}:
        found[name] = system_places(name, system, shape)
    found = {name: places for name, places in found.items() if places}
    if _C_LIBRARY not in found:
        raise ToolError(
            f"This machine has no {_C_LIBRARY} that the environment could be loaded with.",
            'Set image-base to something else than "host"; "debian" needs mmdebstrap.',
        )
    for each in _PROGRAMS:
        tree.host(each)
    home = found[_C_LIBRARY][0].parent
    for name, places in found.items():
        for place in places if _is_loader(name) else places[:1]:
            tree.host(place)
            if not _is_searched(place.parent, home):
                # There is no cache of the loader in the image that would tell it of other places.
                tree.link(str(Path(os.path.realpath(home), name)).lstrip("/"), str(place))
    return set(found)


def _is_loader(name: str) -> bool:
    return name.startswith(_LOADERS)


def _is_searched(directory: Path, home: Path) -> bool:
    """Return whether the loader looks into a directory without being told, ld.so(8)."""
    default = (home, Path("/lib64"), Path("/usr/lib64"), Path("/lib"), Path("/usr/lib"))
    return os.path.realpath(directory) in {os.path.realpath(each) for each in default}
