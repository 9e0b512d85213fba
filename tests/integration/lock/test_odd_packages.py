"""Conda packages that are odd and healthy are locked, built, proven and packed like any other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.image.oci.layout import Layout
from elt_env.image.pack import pack
from elt_env.lockfile.document import Lock
from elt_env.proof.checks import CHECKS, NOT_BLOCKING, SMOKE_CHECKS
from elt_env.release.verify import verify
from elt_env.tools import Tools
from tests.support.channel import Channel, ChannelServer
from tests.support.images import content_of, make_root_tar
from tests.support.index_server import IndexServer
from tests.support.isolation import clear_settings
from tests.support.loopback import running
from tests.support.odd_packages import DISTRIBUTIONS, ODD, offer_odd_packages
from tests.support.proving import prove
from tests.support.sample import Sample, make_sample, run_in, silent
from tests.support.wheels import make_wheel

_NEEDS = ("sparse>=1", "twice==1.0", "old<1", "old-noarch", "opencv-python>4.9,<5")
_HEALTH = ("reproducible", *(each for each in CHECKS if each not in SMOKE_CHECKS))


@dataclass(frozen=True)
class Odd:
    """A sealed prefix with odd packages, beside pip's `user`, which needs them all."""

    sample: Sample
    lock: Lock
    toolbox: Tools
    prefix: Prefix


@pytest.fixture(scope="module", params=["uv over http", "pip from a directory"])
def odd(
    request: pytest.FixtureRequest, shared_python: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Odd]:
    root = tmp_path_factory.mktemp("odd")
    with pytest.MonkeyPatch.context() as patch, running(IndexServer()) as index:
        clear_settings(patch, keep_registry=False)
        patch.setenv("UV_CACHE_DIR", str(root / "uv"))
        patch.setenv("PIP_CONFIG_FILE", "/dev/null")
        sample = make_sample(root / "sample", shared_python, index)
        offer_odd_packages(sample.channel.root, sample.python)
        sample.channel.index()
        for name, version in (each for package in DISTRIBUTIONS.values() for each in package):
            index.add(make_wheel(root / "wheels", name, version))
        sample.offer_pip("user", {"user.py": "import cv2, old, sparse, twice\n"}, requires=_NEEDS)
        with running(ChannelServer(sample.channel.root)) as server:
            over_http = request.param.endswith("http")
            url = server.url if over_http else None
            lock = sample.lock(conda=ODD, pip=["user"], channel_url=url)
            toolbox = sample.toolbox(
                root / "project",
                installer=request.param.split()[0],
                image_base=str(make_root_tar(root / "root.tar")),
            )
            toolbox.store.write_lock(lock)
            path = ensure_prefix(lock, toolbox, silent).path
            yield Odd(sample, lock, toolbox, Prefix(path, lock))


def test_the_lock_knows_what_each_carries(odd: Odd) -> None:
    found = {
        each.name: each.conda.distributions
        for each in odd.lock.conda
        if each.conda and each.name in ODD
    }
    assert found == DISTRIBUTIONS
    assert [each.name for each in odd.lock.pip] == ["user"]


def test_the_prefix_holds_each_distribution_once(odd: Odd) -> None:
    found = [(each.name, each.version) for each in odd.prefix.distributions()]
    assert found == sorted(odd.lock.distributions.items())


@pytest.mark.parametrize("name", _HEALTH)
def test_every_check_passes(odd: Odd, name: str) -> None:
    assert name in {*CHECKS, *NOT_BLOCKING}
    evidence = prove(name, odd.lock, odd.toolbox, silent, again=True)
    assert evidence.status == "passed", evidence.detail


def test_nothing_is_damaged(odd: Odd) -> None:
    assert verify(odd.lock, odd.toolbox.store, silent) == ()


def test_what_they_bring_runs(odd: Odd) -> None:
    prefix = odd.prefix.path
    assert run_in(prefix, "old").stdout == f"old in {prefix}\n"
    assert run_in(prefix, "old2").stdout == f"old in {prefix}\n"
    assert run_in(prefix, "old-noarch").stdout == "old-noarch\n"
    data = (prefix / "share" / "old.bin").read_bytes()
    assert data.startswith(b"\x7fOLD\0" + str(prefix).encode() + b"/share\0")
    assert data.endswith(b"\0end")


def test_the_image_and_its_sbom_have_them(odd: Odd) -> None:
    packed = pack(odd.lock, odd.toolbox.project, odd.toolbox.store, silent)
    layout = Layout(packed.path)
    files = content_of(layout, packed.image)
    assert files["opt/elt/bin/old"].startswith(b"#!/opt/elt/bin/python\n")
    assert f"WHERE = '{'/opt/elt'}'".encode() in files[_site(odd, "old.py")]
    assert str(odd.prefix.path).encode() not in files["opt/elt/share/old.bin"]
    assert _site(odd, "sparse-1.2.dist-info/METADATA") in files
    assert _site(odd, "twice-1.0-py3.11.egg-info/PKG-INFO") in files
    digest = odd.lock.digest.removeprefix("sha256:")
    path = odd.toolbox.store.local_home / "images" / f"{digest}.cdx.json"
    sbom = json.loads(path.read_bytes())
    listed = {(each["name"], each["version"]) for each in sbom["components"]}
    assert {(each.name, each.version) for each in odd.lock.packages} <= listed


def _site(odd: Odd, name: str) -> str:
    return f"opt/elt/lib/python{odd.sample.python}/site-packages/{name}"


def _copied(odd: Odd, place: Path) -> Prefix:
    shutil.copytree(odd.prefix.path, place, symlinks=True)
    return Prefix(place, odd.lock)


def test_what_a_distribution_without_wheel_file_misses_is_found(odd: Odd, tmp_path: Path) -> None:
    prefix = _copied(odd, tmp_path / "a prefix")
    metadata = prefix.site_packages / "sparse-1.2.dist-info" / "METADATA"
    metadata.write_text(metadata.read_text() + "Requires-Dist: missing>=2\n")
    (fault,) = odd.toolbox.installer.inconsistencies(prefix.path, silent)
    assert "sparse" in fault
    assert "missing" in fault


def test_a_distribution_that_is_there_twice_is_found(odd: Odd, tmp_path: Path) -> None:
    prefix = _copied(odd, tmp_path / "a prefix")
    first = prefix.site_packages / "user-1.0.dist-info"
    shutil.copytree(first, first.with_name("user-0.9.dist-info"))
    assert [each.name for each in prefix.distributions()].count("user") == 2
    if odd.toolbox.environment.installer == "uv":
        (fault,) = odd.toolbox.installer.inconsistencies(prefix.path, silent)
        assert "The package `user` has multiple installed distributions:" in fault


def test_an_egg_info_that_conda_did_not_bring_is_one_more(odd: Odd, tmp_path: Path) -> None:
    prefix = _copied(odd, tmp_path / "a prefix")
    metadata = prefix.site_packages / "user-1.0.dist-info" / "METADATA"
    shutil.copy(metadata, prefix.site_packages / "user-1.0-py3.11.egg-info")
    assert [each.name for each in prefix.distributions()].count("user") == 2
