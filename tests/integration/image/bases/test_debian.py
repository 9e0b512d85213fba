"""A base made with mmdebstrap."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from elt_env.environment.prefix import Prefix
from elt_env.errors import NetworkError, TimeLimitError, ToolError
from elt_env.image.bases import Base, debian, provide
from elt_env.image.bases.debian import Sources, sources_of
from elt_env.image.oci.layout import Layout
from elt_env.project.cache_home import CacheHome
from tests.support.bases import members, unpack
from tests.support.index_server import dead_url
from tests.support.said import Said

pytestmark = [
    pytest.mark.skipif(shutil.which(debian.PROGRAM) is None, reason="mmdebstrap is not installed"),
    pytest.mark.xdist_group("bases"),  # they share a built prefix
]

Provide = Callable[..., Base]


@pytest.mark.registry
@pytest.mark.slow
def test_a_root_of_this_machines_own_release(
    offer: Provide,
    run_on: Callable[..., str],
    said: Said,
    prefix: Prefix,
    tmp_path: Path,
) -> None:
    caches = CacheHome(tmp_path / "cache", tmp_path / "key", shared=True)
    base = offer("debian", caches=caches)
    assert base.kind == "debian"
    assert re.fullmatch(r".+, \d+ packages, made with mmdebstrap", base.said)
    names = [each.split()[0] for each in base.packages]
    assert {"ca-certificates", "dpkg", "libc6"} <= set(names)
    assert f", {len(names)} packages" in base.said
    assert any("extracting" in line for line in said)

    said.clear()
    assert offer("auto", limit=0.1) == base
    assert said == []

    # mmdebstrap would take longer.
    other = Layout(tmp_path / "other/oci")
    how: dict[str, Any] = {"compression": "zstd", "limit": 0.1, "say": said.append}
    place = tmp_path / "other/bases"
    assert provide("debian", prefix, other, place, caches=caches, **how) == base
    assert said == ["base: another project of this user has made it"]

    root = unpack(base, other, tmp_path / "root")
    told = run_on(root, "import sqlite3, ssl, pwd; print(pwd.getpwuid(1000).pw_dir)")
    assert told == "/home/elt\n"
    found = members(base, other)
    assert (found["home/elt"].uid, found["home/elt"].gid) == (1000, 1000)
    assert not any(each.isdev() for each in found.values())
    assert not {"etc/hostname", "etc/machine-id", "etc/resolv.conf"} & set(found)
    _has_no_mirror(root)


def _has_no_mirror(root: Path) -> None:
    sources = sources_of(debian.codename())
    mirrors = re.findall(r"://([^/\s]+)", "\n".join((*sources.lines, *sources.stanzas)))
    assert mirrors
    for place in ("etc", "var"):
        for path in (root / place).rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                assert not any(each.encode() in data for each in mirrors), path


@pytest.fixture
def dead_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    sources = Sources((f"deb [trusted=yes] {dead_url()} bookworm main",), (), "bookworm")
    monkeypatch.setattr(debian, "sources_of", lambda _codename: sources)
    # apt waits between its attempts.
    monkeypatch.setattr(debian, "connection_settings", lambda: 'Acquire::Retries "0";')


@pytest.mark.usefixtures("dead_mirror")
def test_a_mirror_that_does_not_answer(offer: Provide, layout: Layout) -> None:
    with pytest.raises(NetworkError, match="could not fetch packages") as raised:
        offer("debian")
    assert 'image-base = "host"' in raised.value.remedy
    assert not list(layout.path.rglob("blobs/sha256/*"))


@pytest.mark.usefixtures("dead_mirror")
def test_auto_falls_back_to_this_machines_files(offer: Provide, said: Said) -> None:
    assert offer("auto").kind == "host"
    (line,) = [each for each in said if "this machine's own files" in each]
    assert "could not fetch packages" in line
    assert "\n" not in line


def test_a_limit_that_is_too_short(
    offer: Provide, layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # for what mmdebstrap leaves when it is ended
    with pytest.raises(TimeLimitError):
        offer("debian", limit=0.5)
    assert not list(layout.path.rglob("blobs/sha256/*"))


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(debian, "PROGRAM", "mmdebstrap-that-is-not-there")


@pytest.mark.usefixtures("without")
def test_without_mmdebstrap(offer: Provide, said: Said) -> None:
    assert offer("auto").kind == "host"
    assert any("is not installed" in line for line in said)
    with pytest.raises(ToolError, match="is not there"):
        offer("debian")
