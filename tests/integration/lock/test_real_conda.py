"""Conda itself agrees: with a lock's explicit file, and with a prefix that was made of it."""

from __future__ import annotations

import json
import shutil
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import uv
import yaml

from elt_env.environment.prefix import Prefix
from elt_env.environment.tree import differences
from elt_env.image.oci.layout import Layout
from elt_env.image.pack import pack
from elt_env.lockfile.document import Lock
from elt_env.lockfile.export import FORMATS
from elt_env.machine.process import clean_environment, run
from elt_env.release.repair import repair
from elt_env.release.verify import verify
from elt_env.tools import Tools
from tests.support.channel import Channel, ChannelServer
from tests.support.conda_archives import PREFIX, make_archive
from tests.support.images import entries, make_root_tar
from tests.support.loopback import running
from tests.support.odd_packages import ODD, offer_odd_packages
from tests.support.real_conda import RealConda, installed_conda, with_md5
from tests.support.sample import Sample, own_sample, silent

pytestmark = [pytest.mark.registry, pytest.mark.slow, pytest.mark.xdist_group("real-conda")]

_SCRIPT = f"#!{PREFIX}/bin/python\nprint('kit')\n"
_BINARY = b"\x7fELF\0" + PREFIX.encode() + b"/share\0end"
# Conda writes these files itself, and its words for a script differ in white space.
_CONDA_S_OWN = ("bin/tally", "CACHEDIR.TAG")


@dataclass(frozen=True)
class Made:
    """A lock from a channel over http, and its sealed prefix."""

    sample: Sample
    server: ChannelServer
    lock: Lock
    toolbox: Tools
    prefix: Prefix

    @property
    def explicit(self) -> str:
        """The lock's explicit file."""
        return (self.sample.directory(self.lock) / "conda-linux-64.lock").read_text("utf-8")


@pytest.fixture(scope="module")
def conda(tmp_path_factory: pytest.TempPathFactory) -> RealConda:
    return installed_conda(tmp_path_factory.mktemp("conda"))


@pytest.fixture(scope="module")
def made(
    conda: RealConda, shared_python: Channel, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Made]:
    """A prefix with links, scripts and binaries of conda's, and packages of pip's."""
    del conda  # installed before the machine's settings are gone
    root = tmp_path_factory.mktemp("made")
    with own_sample(root, shared_python) as sample:
        make_archive(
            sample.channel.root,
            "kit",
            "2.1",
            {"bin/kit": _SCRIPT, "share/kit.dat": _BINARY, "share/kit/notes.txt": "notes\n"},
            subdir="linux-64",
            build="h0_7",
            links={"bin/kit2": "kit", "share/kit.so": "kit.dat", "share/kit-notes": "kit"},
        )
        make_archive(sample.channel.root, "spare", "1!3.0", {"share/spare": ""}, depends=())
        offer_odd_packages(sample.channel.root, sample.python)
        sample.channel.index()
        with running(ChannelServer(sample.channel.root)) as server:
            lock = sample.lock(
                conda=["python>=3.9", "tally=1.0", "kit>=2,<3", "spare"],
                pip=["alpha"],
                channel_url=server.url,
            )
            toolbox = sample.toolbox(root / "project", image_base=str(_base(root)))
            prefix = Prefix(sample.build(root / "project", lock).path, lock)
            yield Made(sample, server, lock, toolbox, prefix)


def _base(root: Path) -> Path:
    return make_root_tar(root / "root.tar")


def _listed(conda: RealConda, prefix: Path) -> set[tuple[str, str, str, str]]:
    return {
        (each["name"], each["version"], each["build_string"], each["channel"])
        for each in conda.json("list", "-p", prefix)
    }


def _wanted(made: Made) -> set[tuple[str, str, str, str]]:
    conda = {
        (each.name, each.version, str(each.build), made.server.url.split("://")[1])
        for each in made.lock.conda
    }
    return conda | {(each.name, each.version, "pypi_0", "pypi") for each in made.lock.pip}


def _short(listed: set[tuple[str, str, str, str]]) -> set[tuple[str, ...]]:
    return {each[:3] for each in listed}


def test_it_lists_what_is_locked(conda: RealConda, made: Made) -> None:
    listed = _listed(conda, made.prefix.path)
    assert _short(listed) == _short(_wanted(made))
    assert {each[3] for each in listed} == {"channel", "pypi"}


_PARSED = """
import json, pathlib, sys
from conda_lock.lockfile import parse_conda_lock_file
found = parse_conda_lock_file(pathlib.Path(sys.argv[1])).package
print(json.dumps([[each.manager, each.name, each.version, each.url, each.hash.sha256]
                  for each in found]))
"""


def test_conda_lock_reads_what_is_exported_for_it(
    conda: RealConda, made: Made, tmp_path: Path
) -> None:
    file = tmp_path / "conda-lock.yml"
    file.write_text(FORMATS["conda-lock"].render(made.lock))
    found = {tuple(each) for each in json.loads(conda.python_code(_PARSED, file))}
    assert found == {
        (each.manager, each.name, each.version, each.url, each.sha256)
        for each in made.lock.packages
    }


def test_its_doctor_finds_nothing(conda: RealConda, made: Made) -> None:
    told = conda("doctor", "-v", "-p", made.prefix.path).stdout
    assert "There are no packages with altered files." in told
    assert "There are no packages with missing files." in told


def test_its_doctor_sees_what_is_changed(conda: RealConda, made: Made, tmp_path: Path) -> None:
    place = tmp_path / "prefix"
    for name in ("bin", "share", "conda-meta"):
        shutil.copytree(made.prefix.path / name, place / name, symlinks=True)
    (place / "bin" / "kit2").unlink()
    (place / "bin" / "kit2").symlink_to("tally")
    told = conda("doctor", "-v", "-p", place).stdout
    altered = told.partition("Altered Files:")[2].partition("Missing Files:")[0]
    assert "kit-2.1-h0_7:" in altered
    assert "bin/kit2" in altered


def test_it_exports_what_is_locked(conda: RealConda, made: Made) -> None:
    exported = yaml.safe_load(conda("env", "export", "-p", made.prefix.path).stdout)
    *packages, pip = exported["dependencies"]
    assert packages == [f"{each.name}={each.version}={each.build}" for each in made.lock.conda]
    assert pip == {"pip": [f"{each.name}=={each.version}" for each in made.lock.pip]}
    assert made.server.url in exported["channels"]


def test_it_exports_what_was_asked_for(conda: RealConda, made: Made) -> None:
    told = conda("env", "export", "--from-history", "-p", made.prefix.path).stdout
    minor = made.sample.python
    assert sorted(yaml.safe_load(told)["dependencies"]) == [
        "kit[version='>=2,<3']",
        f"python[version='{minor}.*,>=3.9']",
        "spare",
        "tally=1.0",
    ]


def test_its_history_is_the_state_of_the_prefix(conda: RealConda, made: Made) -> None:
    code = (
        "import json, sys\n"
        "from conda_lock._vendor.conda.history import History\n"
        "from conda_lock._vendor.conda.core.prefix_data import PrefixData\n"
        "prefix = sys.argv[1]\n"
        "installed = [each.dist_str() for each in PrefixData(prefix).iter_records()]\n"
        "print(json.dumps([sorted(History(prefix).get_state()), sorted(installed)]))\n"
    )
    state, installed = json.loads(conda.python_code(code, made.prefix.path))
    assert state == installed
    revisions = conda.json("list", "-p", made.prefix.path, "--revisions")
    assert [each["rev"] for each in revisions] == [0]
    assert revisions[0]["date"] == f"{made.lock.locked_at:%Y-%m-%d %H:%M:%S}"


def test_it_makes_the_same_of_the_explicit_file(
    conda: RealConda, made: Made, tmp_path: Path
) -> None:
    file = tmp_path / "conda-linux-64.lock"
    file.write_text(with_md5(made.lock, made.explicit), encoding="utf-8")
    # As long as the other one, so that the padding in binary files is.
    place = made.prefix.path.with_name("r" * len(made.prefix.path.name))
    conda("create", "-y", "-q", "-p", place, "--file", file)
    assert _short(_listed(conda, place)) == {
        (each.name, each.version, each.build) for each in made.lock.conda
    }
    owned = {*(_files_of_conda(made.prefix.path))} - {*_CONDA_S_OWN}
    found = [each.split(" ") for each in differences(made.prefix.path, place)]
    assert [each for each in found if each[0] in owned] == []


def test_it_sees_odd_packages_as_in_a_prefix_of_its_own(
    conda: RealConda,
    made: Made,
    tool_caches: Path,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    del tool_caches
    lock = made.sample.lock(conda=ODD, channel_url=made.server.url)
    # A short path: the two go different ways about a first line that the kernel would cut.
    mine = made.sample.build(tmp_path_factory.mktemp("odd"), lock).path
    place = mine.with_name("r" * len(mine.name))
    file = tmp_path / "conda-linux-64.lock"
    text = (made.sample.directory(lock) / file.name).read_text("utf-8")
    file.write_text(with_md5(lock, text), encoding="utf-8")
    conda("create", "-y", "-q", "-p", place, "--file", file)
    assert _listed(conda, mine) == _listed(conda, place)
    owned = {*_files_of_conda(mine)} - {"bin/old-noarch"}
    found = [each.split(" ") for each in differences(mine, place)]
    assert [each for each in found if each[0] in owned] == []
    told = conda("doctor", "-v", "-p", mine).stdout
    assert "There are no packages with altered files." in told
    assert "There are no packages with missing files." in told


def _files_of_conda(prefix: Path) -> Iterator[str]:
    for path in (prefix / "conda-meta").glob("*.json"):
        yield from json.loads(path.read_bytes())["files"]


def test_it_refuses_an_archive_that_is_not_the_locked_one(
    conda: RealConda, made: Made, tmp_path: Path
) -> None:
    file = tmp_path / "conda-linux-64.lock"
    file.write_text(with_md5(made.lock, made.explicit), encoding="utf-8")
    elsewhere = RealConda(conda.python, conda.vendored, tmp_path)
    made.server.fault = "corrupt-packages"
    try:
        done = elsewhere(
            *("create", "-y", "-q", "-p", tmp_path / "prefix", "--file", file), may_fail=True
        )
    finally:
        made.server.fault = None
    assert done.returncode != 0
    assert "ChecksumMismatch" in done.stdout + done.stderr


def test_its_solver_finds_what_is_locked(conda: RealConda, made: Made) -> None:
    asked = [f"python={made.sample.python}", "python>=3.9", "tally=1.0", "kit>=2,<3", "spare"]
    found = conda.solve([made.server.url], asked)
    assert found == {each.name: each.version for each in made.lock.conda}


def test_a_sealed_prefix_is_closed_to_it(made: Made) -> None:
    frozen = (made.prefix.path / "conda-meta" / "frozen").read_bytes()
    assert json.loads(frozen).keys() == {"message"}
    assert f"elt-env build elt@{made.sample.python}" in json.loads(frozen)["message"]


def test_pip_and_uv_list_what_is_locked(made: Made) -> None:
    python = str(made.prefix.python)
    for command in (
        [uv.find_uv_bin(), "pip", "list", "--format", "json", "--python", python],
        [sys.executable, "-m", "pip", "--python", python, "list", "--format", "json"],
    ):
        done = run(command, limit=60, env=clean_environment())
        found = {each["name"]: each["version"] for each in json.loads(done.stdout)}
        assert found == made.lock.distributions


def test_it_is_right_about_a_prefix_in_an_image(
    conda: RealConda, made: Made, tmp_path: Path
) -> None:
    packed = pack(made.lock, made.toolbox.project, made.toolbox.store, silent)
    layout = Layout(packed.path)
    root = tmp_path / "root"
    for layer in packed.image.layers[1:]:
        for name, (info, data) in entries(layout, layer).items():
            _unpack(root / name, info, data)
    prefix = root / "opt" / "elt"
    assert _short(_listed(conda, prefix)) == _short(_wanted(made))
    told = conda("doctor", "-v", "-p", prefix).stdout
    assert "There are no packages with altered files." in told
    assert "There are no packages with missing files." in told
    exported = conda("env", "export", "--from-history", "-p", prefix).stdout
    assert "tally=1.0" in yaml.safe_load(exported)["dependencies"]
    assert (prefix / "conda-meta" / "frozen").is_file()
    history = (prefix / "conda-meta" / "history").read_text("utf-8")
    assert made.server.url not in history
    assert "+elt-env/linux-64::kit-2.1-h0_7" in history


def _unpack(path: Path, info: tarfile.TarInfo, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    if info.issym():
        path.symlink_to(info.linkname)
    elif info.isreg():
        path.write_bytes(data)


def test_it_finds_nothing_after_a_repair(conda: RealConda, made: Made) -> None:
    meta = made.prefix.path / "conda-meta"
    before: dict[str, Any] = json.loads((meta / "kit-2.1-h0_7.json").read_bytes())
    for name in ("kit-2.1-h0_7.json", "history", "frozen"):
        (meta / name).unlink()
    damages = verify(made.lock, made.toolbox.store, silent)
    assert {each.path for each in damages} >= {"conda-meta/history", "conda-meta/frozen"}
    repair(made.lock, damages, made.toolbox, silent)
    assert verify(made.lock, made.toolbox.store, silent) == ()
    after = json.loads((meta / "kit-2.1-h0_7.json").read_bytes())
    assert after["paths_data"] == before["paths_data"]
    told = conda("doctor", "-v", "-p", made.prefix.path).stdout
    assert "There are no packages with altered files." in told
