"""A root directory of Debian as a layer: what an image needs of it, and nothing of its making."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from elt_env.image.bases.users import GROUP, HOME, PASSWD, UID, with_group, with_user
from elt_env.image.oci.layer import MTIME

_STATUS = "var/lib/dpkg/status"
_RELEASE = "usr/lib/os-release"
_DOCUMENTS = "usr/share/doc/"
# What is below these is left out; they themselves stay.
_EMPTIED = (
    *("dev", "proc", "sys", "run", "tmp", "var/tmp", "var/log"),
    *("var/cache/apt", "var/cache/ldconfig", "var/cache/man", "var/lib/apt/lists"),
    *("etc/apt/sources.list.d", "usr/share/man", "usr/share/info", "usr/share/locale"),
    *("usr/share/lintian", "usr/share/bug", "usr/share/doc-base"),
)
_LEFT_OUT = re.compile(
    r"etc/(machine-id|hostname|resolv\.conf|hosts|\.pwd\.lock)"
    r"|etc/apt/(sources\.list|apt\.conf\.d/99mmdebstrap)|etc/dpkg/dpkg\.cfg\.d/99mmdebstrap"
    r"|etc/(passwd|group|shadow|gshadow|subuid|subgid)-"
    r"|var/lib/dbus/machine-id|var/lib/dpkg/lock.*|var/(lib/dpkg|cache/debconf)/[^/]*-old"
)
_XATTR = "SCHILY.xattr."  # how pax names extended attributes, file capabilities among them


@dataclass(frozen=True)
class Facts:
    """What a root says of itself.

    Attributes:
        name: of the distribution and its release.
        packages: name and version of each that is installed, sorted.
    """

    name: str
    packages: tuple[str, ...]


def trim(source: IO[bytes], target: IO[bytes]) -> Facts:
    """Write the tar of a root anew, with the user `elt`, and return what the root says of itself.

    Documentation (but the copyright files), translations, caches, logs, device files and all that
    is of the machine it was made on are left out: its name, its identity, its sources of packages.

    Raises:
        tarfile.TarError: `source` is no tar archive.
    """
    told: dict[str, str] = {}
    with (
        tarfile.open(fileobj=source, mode="r:") as root,
        tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as trimmed,
    ):
        for member in root:
            name = member.name.removeprefix("./").strip("/")
            if _is_left_out(member, name):
                continue
            content = root.extractfile(member) if member.isfile() else None
            if content is not None and name in {PASSWD, GROUP, _STATUS, _RELEASE}:
                told[name] = text = _changed(name, content.read().decode())
                content, member.size = io.BytesIO(text.encode()), len(text.encode())
            trimmed.addfile(_plain(member, name), content)
            if name == "home":
                trimmed.addfile(_home())
    return Facts(_release(told.get(_RELEASE, "")), tuple(sorted(_packages(told.get(_STATUS, "")))))


def _is_left_out(member: tarfile.TarInfo, name: str) -> bool:
    if name in {"", "."} or member.isdev() or _LEFT_OUT.fullmatch(name):
        return True
    if any(name.startswith(f"{each}/") for each in _EMPTIED):
        return True
    # A package's directory may be a link to another's, whose copyright file it shares.
    is_document = name.startswith(_DOCUMENTS) and not name.endswith("/copyright")
    return is_document and (name.count("/") > _DOCUMENTS.count("/") or member.isfile())


def _changed(name: str, text: str) -> str:
    return {PASSWD: with_user, GROUP: with_group}.get(name, str)(text)


def _plain(member: tarfile.TarInfo, name: str) -> tarfile.TarInfo:
    member.name = name
    if member.islnk():
        member.linkname = member.linkname.removeprefix("./")
    member.mtime = MTIME
    member.uname = member.gname = ""
    member.pax_headers = {
        key: value for key, value in member.pax_headers.items() if key.startswith(_XATTR)
    }
    return member


def _home() -> tarfile.TarInfo:
    home = tarfile.TarInfo(HOME)
    home.type, home.mode, home.mtime = tarfile.DIRTYPE, 0o750, MTIME
    home.uid = home.gid = UID
    return home


def _release(text: str) -> str:
    found = re.search(r'^PRETTY_NAME="?([^"\n]*)', text, re.MULTILINE)
    return found[1] if found else "Debian"


def _packages(status: str) -> Iterator[str]:
    """Yield the packages that dpkg's status file calls installed, as `libc6 2.36-9`."""
    for stanza in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Status|Version): (.*)$", stanza, re.MULTILINE))
        if fields.get("Status", "").endswith(" installed"):
            yield f"{fields['Package']} {fields['Version']}"
