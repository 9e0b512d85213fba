"""Bundles that were damaged, or made by somebody else, and those that are killed half-way."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from elt_env.bundle import listing as listings
from elt_env.bundle.archive import ArchiveReader, write_archive
from elt_env.bundle.listing import Entry, Listing
from elt_env.bundle.pack import pack_bundle
from elt_env.bundle.unpack import unpack_bundle
from elt_env.errors import EltEnvError, InputError, PolicyError
from elt_env.lockfile import lock_json
from elt_env.project.project import Project
from elt_env.project.settings import open_project
from elt_env.tools import open_tools
from tests.support.locking import Scene, target_of
from tests.support.mover import mover
from tests.support.project import toolbox_of
from tests.support.sample import silent

_BLOCK = 512


@pytest.fixture
def bundle(scene: Scene) -> Path:
    """A bundle of a Python without content and of one wheel."""
    scene.offer_pip("tool", "1.0")
    toolbox = scene.toolbox(pip=["tool"], policy={"cooldown": "0"})
    scene.lock_with(toolbox)
    file = scene.root / "elt.tar"
    pack_bundle(target_of(toolbox), toolbox, file, silent)
    return file


@pytest.fixture
def other(scene: Scene, bundle: Path) -> Iterator[Project]:
    """The same project with no spec and no store; there is nothing in it afterwards."""
    del bundle
    root = scene.root / "other"
    root.mkdir()
    shutil.copy(scene.root / "project/pyproject.toml", root)
    yield open_project(root)
    assert [each.name for each in root.iterdir()] == ["pyproject.toml"]


def _refused(file: Path, project: Project, *words: str) -> None:
    with pytest.raises(EltEnvError) as raised:
        unpack_bundle(file, project, open_tools, silent)
    assert raised.value.exit_code in (2, 5)
    assert str(file) in raised.value.problem
    for word in words:
        assert word in raised.value.problem


def test_where_signers_are_named_an_unsigned_bundle_is_refused(
    other: Project, bundle: Path, tmp_path: Path
) -> None:
    signers = tmp_path / "allowed_signers"
    signers.write_text("ops@example.org ssh-ed25519 AAAA\n")
    told = replace(other, policy=other.policy.model_copy(update={"bundle_signers": str(signers)}))
    _refused(bundle, told, "has no signature elt.tar.sig")


def test_no_file_is_named(other: Project, tmp_path: Path) -> None:
    _refused(tmp_path / "none.tar", other, "No such file")
    _refused(tmp_path, other, "it is a directory")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "it is empty"),
        (b"nothing like it", "no tar archive"),
        (bytes(4 * _BLOCK), "no tar archive"),
        (b"\x28\xb5\x2f\xfd" + 2 * _BLOCK * b"zstd", "no tar archive"),
    ],
    ids=["empty", "text", "zeros", "compressed"],
)
def test_what_is_no_tar_archive(other: Project, bundle: Path, content: bytes, said: str) -> None:
    bundle.write_bytes(content)
    _refused(bundle, other, said)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_no_byte_can_be_another_and_none_can_be_missing(
    other: Project, bundle: Path, data: st.DataObject
) -> None:
    whole = bundle.read_bytes()
    place = data.draw(st.integers(0, len(whole) - 1))
    bad = bytearray(whole)
    bad[place] ^= data.draw(st.integers(1, 255))
    made = bundle.with_name("bad.tar")
    for content in (bytes(bad), whole[:place], whole + whole[:1]):
        made.write_bytes(content)
        _refused(made, other)


def _member(name: str, content: bytes = b"", **changes: object) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for key, value in changes.items():
        setattr(info, key, value)
    return info.tobuf(tarfile.GNU_FORMAT) + content + bytes(-len(content) % _BLOCK)


@pytest.mark.parametrize(
    ("member", "said"),
    [
        (_member("../../etc/passwd", b"x"), "'../../etc/passwd'"),
        (_member("/etc/passwd", b"x"), "'/etc/passwd'"),
        (_member("lock.json", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link"),
        (_member("lock.json", type=tarfile.LNKTYPE, linkname="/etc/passwd"), "a link"),
        (_member("lock.json", type=tarfile.CHRTYPE), "no file"),
        (_member("lock.json", mode=0o4755), "lock.json"),
        (_member("more", b"x"), "'more'"),
    ],
    ids=["upwards", "absolute", "symlink", "link", "device", "set-uid", "more"],
)
@pytest.mark.parametrize("number", [0, 1, -1])
def test_a_member_that_the_list_does_not_have(
    other: Project, bundle: Path, member: bytes, said: str, number: int
) -> None:
    """First, behind the list, or behind all."""
    whole = bundle.read_bytes()
    size = tarfile.TarInfo.frombuf(whole[:_BLOCK], "utf-8", "strict").size
    places = {0: 0, 1: _BLOCK + size + -size % _BLOCK, -1: len(whole) - 2 * _BLOCK}
    place = places[number]
    bundle.write_bytes(whole[:place] + member + whole[place:])
    _refused(bundle, other, said)


# Lists that fit what is there, made by somebody who knows how


def _contents(file: Path) -> tuple[Listing, dict[str, bytes]]:
    with file.open("rb") as opened:
        reader = ArchiveReader(opened, file)
        return reader.listing, {
            each.name: b"".join(chunks) for each, chunks in reader.contents("read", silent)
        }


def _write(file: Path, listing: Listing, contents: dict[str, bytes]) -> None:
    entries = tuple(
        Entry(name, len(content), hashlib.sha256(content).hexdigest())
        for name, content in contents.items()
    )
    with file.open("wb") as opened:
        made = replace(listing, entries=entries)
        write_archive(opened, made, lambda each: io.BytesIO(contents[each.name]), silent)


def _without(kind: str) -> Callable[[dict[str, bytes]], object]:
    return lambda held: held.pop(next(each for each in held if each.startswith(kind)))


def _with(name: str) -> Callable[[dict[str, bytes]], object]:
    return lambda held: held.update({name: b"x"})


def _swapped(held: dict[str, bytes]) -> None:
    held[next(each for each in held if each.startswith("pip/"))] = b"another wheel"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_with("../../etc/passwd"), "../../etc/passwd"),
        (_with("spec/../../../etc/passwd"), "etc/passwd"),
        (_with("/etc/passwd"), "/etc/passwd"),
        (_with("pip/x/more.whl"), "pip/x/more.whl is not of its lock"),
        (_with("plugins/x.json"), "plugins/x.json in"),
        (_with("built/x/more.whl"), "built/x/more.whl is not of its lock"),
        (_without("pip/"), "tool-1.0-py3-none-any.whl is missing"),
        (_without("conda/"), "is missing"),
        (_without("lock.json"), "holds no lock"),
        (_without("spec/"), "does not hold the spec"),
        (_swapped, "another sha256 than the lock says"),
        (lambda held: held.update({"lock.json": b"{}"}), "schema none"),
        (lambda held: held.update({"lock.json": b"\xff"}), "holds no lock"),
    ],
)
def test_a_list_that_is_not_that_of_the_lock(
    other: Project, bundle: Path, change: Callable[[dict[str, bytes]], object], said: str
) -> None:
    listing, contents = _contents(bundle)
    change(contents)
    _write(bundle, listing, contents)
    _refused(bundle, other, said)


@pytest.mark.parametrize("number", [0, 2, "1", None])
def test_another_format(other: Project, bundle: Path, number: object) -> None:
    content = json.loads(listings.render(_contents(bundle)[0])) | {"format": number}
    bundle.write_bytes(_member(listings.FILE_NAME, json.dumps(content).encode()))
    _refused(bundle, other, f"has format {number!r}; this version reads 1")


def test_another_platform(other: Project, bundle: Path) -> None:
    listing, contents = _contents(bundle)
    lock = lock_json.parse(contents["lock.json"].decode(), "", "")
    target = replace(lock.target, platform="linux-aarch64")
    packages = tuple(
        replace(each, conda=replace(each.conda, subdir="noarch")) if each.conda else each
        for each in lock.packages
    )
    made = replace(lock, target=target, packages=packages)
    contents["lock.json"] = lock_json.render(made).encode()
    _write(bundle, listing, contents)
    with pytest.raises(InputError, match="for linux-aarch64; this machine is linux-64"):
        unpack_bundle(bundle, other, open_tools, silent)


def test_a_spec_that_lies_elsewhere(scene: Scene, bundle: Path, other: Project) -> None:
    """It goes by its own name; a policy that has it at another place is told so."""
    project = scene.root / "project"
    outside = scene.root / "team/things/elt.yml"
    outside.parent.mkdir(parents=True)
    shutil.move(project / "environments/elt.yml", outside)
    policy = project / "pyproject.toml"
    policy.write_text(policy.read_text().replace("environments/elt.yml", str(outside)))
    toolbox = toolbox_of(open_project(project))
    made = bundle.with_name("outside.tar")
    assert pack_bundle(target_of(toolbox), toolbox, made, silent).spec == "elt.yml"
    with pytest.raises(PolicyError, match=r"is environments/elt\.yml here, .* has it as elt\.yml"):
        unpack_bundle(made, other, open_tools, silent)


def test_a_lock_that_is_out_of_date_is_not_bundled(scene: Scene, bundle: Path) -> None:
    toolbox = scene.toolbox(pip=["tool", "more"], policy={"cooldown": "0"})
    made = bundle.with_name("more.tar")
    with pytest.raises(InputError, match="more is new in the spec"):
        pack_bundle(target_of(toolbox), toolbox, made, silent)
    assert not made.exists()


# Interrupted


def test_killed_at_each_change_of_the_disk(scene: Scene, bundle: Path) -> None:
    """The target has no lock or all of it, and what is kept is whole; so is a bundle."""
    whole = bundle.read_bytes()
    root = scene.root / "other"
    root.mkdir()
    shutil.copy(scene.root / "project/pyproject.toml", root)
    spec = root / "environments/elt.yml"
    (root / "given.tar").write_bytes(whole)
    change, going = 0, True
    with mover(root) as moves:
        while going:
            change += 1
            shutil.rmtree(root / ".elt_env", ignore_errors=True)
            spec.unlink(missing_ok=True)
            going = moves.killed("unbundle", change)
            project = open_project(root)
            pointers = [*(root / ".elt_env/targets").glob("*/lock.json")]
            if pointers:
                assert spec.exists()
                assert [*(root / ".elt_env/cache").glob("wheels/*/tool-1.0-py3-none-any.whl")]
            lock = unpack_bundle(root / "given.tar", project, open_tools, silent)
            assert spec.read_bytes() == (scene.root / "project/environments/elt.yml").read_bytes()
        assert pointers
        assert change > 20
        made = root / "made.tar"
        change, going = 0, True
        while going:
            change += 1
            made.unlink(missing_ok=True)
            going = moves.killed("bundle", change)
            assert not made.exists() or made.read_bytes() == whole
        assert made.exists()
    assert lock.pip
