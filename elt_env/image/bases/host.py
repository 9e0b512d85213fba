"""A base of this machine's own files: its C library, and what the environment needs besides.

It has the loader and the libraries, a shell, certificates, time zones and accounts, and no package
manager, in the manner of https://github.com/GoogleContainerTools/distroless.
"""

from __future__ import annotations

import os
import ssl
from pathlib import Path

from elt_env.environment.elf import is_elf, read_elf
from elt_env.environment.native_code import load_each
from elt_env.environment.prefix import Prefix
from elt_env.errors import ToolError
from elt_env.image.bases.base import Base, BuiltBase, Request
from elt_env.image.bases.host_tree import HostTree
from elt_env.image.bases.needs import needed_of_system, packages_of, system_places
from elt_env.image.bases.users import GROUP, HOME, PASSWD, UID, with_group, with_user
from elt_env.image.oci.layer import write_layer
from elt_env.machine.system_libraries import system_libraries
from elt_env.runtime.input_files import read_stored_text

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
