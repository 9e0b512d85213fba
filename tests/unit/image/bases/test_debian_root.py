"""What of a root goes into an image."""

from __future__ import annotations

import io
import tarfile

from elt_env.image.bases.debian_root import Facts, trim

_STATUS = """\
Package: libc6
Status: install ok installed
Version: 2.36-9+deb12u14
Description: a library
 Version: none

Package: adduser
Status: install ok installed
Version: 3.134

Package: gone
Status: deinstall ok config-files
Version: 1
"""
_ROOT = {
    "./etc/passwd": "root:x:0:0:root:/root:/bin/bash\n",
    "./etc/group": "root:x:0:\n",
    "./etc/passwd-": "",
    "./etc/hostname": "the-host\n",
    "./etc/machine-id": "0123\n",
    "./etc/resolv.conf": "nameserver 192.0.2.1\n",
    "./etc/apt/sources.list": "deb https://mirror.example.invalid/debian bookworm main\n",
    "./etc/apt/sources.list.d/0000own.sources": "URIs: https://mirror.example.invalid\n",
    "./etc/apt/apt.conf.d/99mmdebstrap": 'Acquire::http::Proxy "x";\n',
    "./etc/apt/apt.conf.d/70debconf": "",
    "./usr/lib/os-release": 'NAME="Debian"\nPRETTY_NAME="Debian 12 (bookworm)"\n',
    "./usr/share/doc/libc6/copyright": "free\n",
    "./usr/share/doc/libc6/changelog.gz": "long\n",
    "./usr/share/doc/libc6/examples/copyright": "free\n",
    "./usr/share/locale/de/LC_MESSAGES/x.mo": "ja\n",
    "./usr/share/man/man1/x.1": "x\n",
    "./var/lib/dpkg/status": _STATUS,
    "./var/lib/dpkg/status-old": "",
    "./var/log/dpkg.log": "now\n",
    "./var/cache/apt/pkgcache.bin": "x",
    "./usr/bin/perl": "perl",
}


def _made() -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in ("./", "./home/", "./dev/", "./tmp/", "./usr/share/doc/libc6/"):
            _add(archive, name.rstrip("/"), tarfile.DIRTYPE)
        _add(archive, "./dev/null", tarfile.CHRTYPE)
        _add(archive, "./dev/fd", tarfile.SYMTYPE, "/proc/self/fd")
        _add(archive, "./usr/share/doc/libc-bin", tarfile.SYMTYPE, "libc6")
        for name, text in _ROOT.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime, entry.uname = len(text), 1_700_000_000, "root"
            archive.addfile(entry, io.BytesIO(text.encode()))
        _add(archive, "./usr/bin/perl5", tarfile.LNKTYPE, "./usr/bin/perl")
        capable = tarfile.TarInfo("./usr/bin/ping")
        capable.pax_headers = {"SCHILY.xattr.security.capability": "x", "mtime": "1700000000.5"}
        archive.addfile(capable)
    out.seek(0)
    return out


def _add(archive: tarfile.TarFile, name: str, kind: bytes, target: str = "") -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    archive.addfile(entry)


def _trimmed() -> tuple[Facts, tarfile.TarFile, bytes]:
    out = io.BytesIO()
    facts = trim(_made(), out)
    return facts, tarfile.open(fileobj=io.BytesIO(out.getvalue())), out.getvalue()


def _text(root: tarfile.TarFile, name: str) -> str:
    file = root.extractfile(name)
    assert file is not None
    return file.read().decode()


def test_what_is_of_the_machine_or_of_no_use_is_left_out() -> None:
    _, root, data = _trimmed()
    assert set(root.getnames()) == {
        *("home", "home/elt", "dev", "tmp", "usr/share/doc/libc6", "usr/share/doc/libc-bin"),
        *("etc/passwd", "etc/group", "etc/apt/apt.conf.d/70debconf", "usr/lib/os-release"),
        *("usr/share/doc/libc6/copyright", "var/lib/dpkg/status"),
        *("usr/bin/perl", "usr/bin/perl5", "usr/bin/ping"),
    } | {"usr/share/doc/libc6/examples/copyright"}
    for secret in (b"mirror.example", b"the-host", b"192.0.2.1", b"Proxy"):
        assert secret not in data


def test_the_user_is_there_and_owns_its_home() -> None:
    _, root, _ = _trimmed()
    assert _text(root, "etc/passwd").endswith("\nelt:x:1000:1000::/home/elt:/bin/sh\n")
    assert _text(root, "etc/group") == "root:x:0:\nelt:x:1000:\n"
    home = root.getmember("home/elt")
    assert (home.uid, home.gid, home.mode) == (1000, 1000, 0o750)


def test_links_lead_where_they_led_and_capabilities_stay() -> None:
    _, root, _ = _trimmed()
    assert root.getmember("usr/bin/perl5").linkname == "usr/bin/perl"
    assert root.getmember("usr/share/doc/libc-bin").linkname == "libc6"
    assert root.getmember("usr/bin/ping").pax_headers == {"SCHILY.xattr.security.capability": "x"}
    assert {(each.mtime, each.uname) for each in root} == {(315532800, "")}


def test_it_tells_its_name_and_its_packages() -> None:
    facts, _, _ = _trimmed()
    assert facts == Facts("Debian 12 (bookworm)", ("adduser 3.134", "libc6 2.36-9+deb12u14"))
