"""A base of this machine's own files."""

from __future__ import annotations

import os
import pwd
import socket
import ssl
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.errors import ToolError
from elt_env.image.bases import Base, host, provide
from elt_env.image.oci.layout import Layout
from elt_env.machine.system_libraries import SystemLibraries, system_libraries
from tests.support.bases import damage, members, unpack

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="it is Linux that it is made of"),
    pytest.mark.xdist_group("bases"),  # they share a built prefix
]

Provide = Callable[..., Base]

_WORKS = """
import bz2, ctypes, hashlib, locale, lzma, os, pwd, sqlite3, ssl, zlib, zoneinfo
print(sqlite3.connect(":memory:").execute("select 6 * 7").fetchone()[0])
print(pwd.getpwuid(os.getuid()).pw_name, os.path.expanduser("~"))
print(ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
      .cert_store_stats()["x509_ca"] > 0)
print(locale.setlocale(locale.LC_ALL, ""))
os.environ["PATH"] = "/usr/bin:/bin"
print(os.popen("echo a shell; env true 2>&1 | cat; :").read().splitlines()[0])
"""


@dataclass(frozen=True)
class Made:
    """A base, and its layers unpacked."""

    base: Base
    layout: Layout
    root: Path


@pytest.fixture(scope="module")
def made(prefix: Prefix, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A base that is not to be changed."""
    place = tmp_path_factory.mktemp("host")
    layout = Layout(place / "oci")
    base = provide(
        "host", prefix, layout, place / "bases", compression="zstd", limit=60.0, say=print
    )
    return Made(base, layout, unpack(base, layout, place / "root"))


def test_the_environments_python_runs_on_it(made: Made, run_on: Callable[..., str]) -> None:
    told = run_on(made.root, _WORKS).splitlines()
    assert told == ["42", "elt /home/elt", "True", "C.UTF-8", "a shell"]


def test_its_own_openssl_finds_the_certificates(made: Made, run_on: Callable[..., str]) -> None:
    code = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'] > 0)"
    assert run_on(made.root, code) == "True\n"


def test_the_same_machine_gives_the_same_bytes(made: Made, offer: Provide) -> None:
    assert offer("host") == made.base


def test_what_was_made_is_used_again_while_it_is_whole(
    offer: Provide, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = offer("host")
    with monkeypatch.context() as patch:
        patch.setattr("elt_env.image.bases.make_host", None)
        assert offer("host") == first
    damage(layout.blob_path(first.layers[0].blob.digest))
    assert offer("host") == first
    assert layout.intact(first.layers[0].blob)


def test_it_has_the_shape_of_this_machine(made: Made) -> None:
    root = made.root
    for name in ("bin", "lib", "lib64"):
        here = Path("/", name)
        assert (root / name).is_symlink() == here.is_symlink()
        assert not here.is_symlink() or (root / name).readlink() == here.readlink()
    found = members(made.base, made.layout)
    assert (found["home/elt"].uid, found["home/elt"].gid) == (1000, 1000)
    assert (found["tmp"].mode, found["var/tmp"].mode, found["root"].mode) == (
        0o1777,
        0o1777,
        0o700,
    )
    others = [each for name, each in found.items() if name != "home/elt"]
    assert {(each.uid, each.gid, each.mtime) for each in others} == {(0, 0, 315532800)}
    assert not any(each.mode & 0o6000 for each in others)
    assert not any(each.mode & 0o002 for each in others if each.isfile())


def test_nothing_tells_whose_machine_it_was(made: Made) -> None:
    root = made.root
    names = {each.relative_to(root).as_posix() for each in (root / "etc").iterdir()}
    assert names <= {
        *("etc/passwd", "etc/group", "etc/nsswitch.conf", "etc/os-release"),
        *("etc/ssl", "etc/pki", "etc/localtime", "etc/alternatives"),
    }
    accounts = (root / "etc/passwd").read_text(encoding="utf-8")
    assert [line.split(":")[0] for line in accounts.splitlines()] == ["root", "nobody", "elt"]
    people = {each.pw_name for each in pwd.getpwall() if 1000 <= each.pw_uid < 60000} - {"elt"}
    texts = [path for path in (root / "etc").iterdir() if path.is_file()]
    for secret in (socket.gethostname(), *people):
        assert not any(secret in each.read_text(encoding="utf-8") for each in texts), secret


def test_it_says_what_it_is(made: Made) -> None:
    base = made.base
    assert (base.kind, base.env) == ("host", ())
    version = os.confstr("CS_GNU_LIBC_VERSION")
    assert base.said.startswith(f"this machine's own C library ({version}) and ")
    assert base.said.endswith(" system libraries")
    if Path("/var/lib/dpkg/status").is_file():
        assert any(each.startswith("libc6 ") for each in base.packages)
        assert list(base.packages) == sorted(set(base.packages))


def test_a_machine_without_certificates(
    offer: Provide, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "_CERTIFICATES", ("/nowhere",))
    nothing = ssl.get_default_verify_paths()._replace(cafile="")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nothing)
    with pytest.raises(ToolError, match="no certificates"):
        offer("host")
    assert not list(layout.path.rglob("blobs/sha256/*"))


def test_a_library_that_only_the_loaders_cache_knows_is_linked_to(
    offer: Provide, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = system_libraries()
    odd = tmp_path / "odd/libodd.so.1"
    odd.parent.mkdir()
    odd.write_bytes(here.find("libm.so.6")[0].read_bytes())
    more = SystemLibraries({**here.cached, odd.name: (odd,)})
    monkeypatch.setattr(host, "system_libraries", lambda: more)
    monkeypatch.setattr(host, "needed_of_system", lambda _prefix, _system: {odd.name})
    found = members(offer("host"), layout)
    assert found[str(odd).lstrip("/")].isfile()
    home = Path(os.path.realpath(here.find("libc.so.6")[0])).parent
    link = found[str(home / odd.name).lstrip("/")]
    assert link.issym()
    assert link.linkname == str(odd)
