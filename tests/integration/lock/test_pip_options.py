"""The options of a spec's pip list: indexes, links, hashes, constraints, formats."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from elt_env.errors import DisagreementError, NoWheelError, PackageNotFoundError, SpecError
from elt_env.lock.make import Locked
from tests.support.index_server import IndexServer, dead_url
from tests.support.locking import Scene
from tests.support.loopback import LoopbackServer, Reply, running
from tests.support.sources import make_backend, write_source
from tests.support.wheels import make_sdist, make_wheel

NO_INDEX = {"index": ""}


@pytest.fixture
def other() -> Iterator[IndexServer]:
    with running(IndexServer()) as index:
        yield index


def versions(found: Locked) -> dict[str, str]:
    return {each.name: each.version for each in found.lock.pip}


def offer(index: IndexServer, directory: Path, name: str, version: str) -> Path:
    wheel = make_wheel(directory, name, version)
    index.add(wheel)
    return wheel


def place(scene: Scene, name: str, text: str) -> None:
    path = scene.root / "project" / "environments" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def test_a_further_index_is_asked_too(scene: Scene, other: IndexServer) -> None:
    scene.offer_pip("six", "1.16")
    offer(other, scene.root / "other", "mine", "1.0")

    found = scene.lock(pip=[f"--extra-index-url {other.url}", "six", "mine"])

    assert versions(found) == {"mine": "1.0", "six": "1.16"}
    assert found.lock.indexes == tuple(sorted([other.url, scene.index.url]))
    assert found.lock.package("pip", "mine").index == other.url
    assert scene.lock(pip=[f"--extra-index-url {other.url}", "six", "mine"]).kept


def test_the_policys_index_wins_and_that_is_said(scene: Scene, other: IndexServer) -> None:
    scene.offer_pip("six", "1.16")
    offer(other, scene.root / "other", "six", "1.17")

    found = scene.lock(pip=[f"-i {other.url}", "six"])

    assert versions(found) == {"six": "1.16"}
    assert "the spec's --index-url is not used: the policy has 'index'" in scene.told


def test_the_specs_index_stands_before_the_users_settings(
    scene: Scene, other: IndexServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(other, scene.root / "other", "six", "1.17")
    other.fault = "refuse-auth"
    monkeypatch.setenv("PIP_INDEX_URL", dead_url())
    monkeypatch.setenv("READER", other.credentials[0])
    monkeypatch.setenv("SESAME", other.credentials[1])
    url = other.url.replace("://", "://${READER}:${SESAME}@")
    asked = [f"-i {url}", "six"]

    found = scene.lock(pip=asked, policy=NO_INDEX)

    assert versions(found) == {"six": "1.17"}
    assert found.lock.indexes == (other.url,)
    lock_files = "".join(each.read_text() for each in Path(found.path).iterdir())
    assert other.credentials[1] not in lock_files
    monkeypatch.delenv("SESAME")
    with pytest.raises(SpecError, match="names the variable SESAME, which is not set") as caught:
        scene.lock(pip=asked, policy=NO_INDEX, upgrade=None)
    assert "export SESAME=" in caught.value.remedy


def test_another_index_makes_a_new_lock(scene: Scene, other: IndexServer) -> None:
    scene.offer_pip("six", "1.16")
    before = scene.lock(pip=["six"])
    offer(other, scene.root / "other", "six", "1.17")

    after = scene.lock(pip=[f"--extra-index-url {other.url}", "six"])

    assert not before.kept
    assert not after.kept
    assert after.reasons == ("the extra package indexes changed",)


def test_a_directory_of_archives_is_relative_to_the_file(scene: Scene) -> None:
    scene.offer_pip("six", "1.16")
    directory = scene.root / "project" / "environments" / "more" / "wheels"
    wheel = make_wheel(directory, "mine", "1.0", requires=["six"])
    place(scene, "more/requirements.txt", "--find-links wheels\nmine\n")

    found = scene.lock(pip=["-r more/requirements.txt"])

    assert versions(found) == {"mine": "1.0", "six": "1.16"}
    mine = found.lock.package("pip", "mine")
    assert mine.index is None
    assert mine.url == wheel.as_uri()
    assert mine.sha256 == sha256(wheel.read_bytes()).hexdigest()
    assert found.lock.indexes == (scene.index.url,)


def test_a_page_of_links_without_hashes(scene: Scene) -> None:
    wheel = make_wheel(scene.root / "links", "mine", "1.0")

    class Page(LoopbackServer):
        def answer(self, path: str, headers: object) -> Reply:
            del headers
            if path.endswith(".whl"):
                return Reply(200, wheel.read_bytes(), "application/octet-stream")
            return Reply(200, f'<a href="{wheel.name}">{wheel.name}</a>'.encode(), "text/html")

    with running(Page()) as server:
        found = scene.lock(pip=["--no-index", f"-f {server.base_url}/links.html", "mine"])
    mine = found.lock.package("pip", "mine")
    assert mine.sha256 == sha256(wheel.read_bytes()).hexdigest()
    assert mine.index is None
    assert "the spec's --no-index is not used" in scene.told  # the policy has an index


def test_no_index_asks_the_links_alone(scene: Scene) -> None:
    scene.offer_pip("six", "1.16")
    make_wheel(scene.root / "links", "mine", "1.0")
    links = f"--find-links {scene.root / 'links'}"

    assert versions(scene.lock(pip=["--no-index", links, "mine"], policy=NO_INDEX)) == {
        "mine": "1.0"
    }
    with pytest.raises(PackageNotFoundError):
        scene.lock(pip=["--no-index", links, "mine", "six"], policy=NO_INDEX)


def test_a_hash_restricts_what_may_be_locked(scene: Scene) -> None:
    (wheel,) = scene.offer_pip("six", "1.16")
    right = sha256(wheel.read_bytes()).hexdigest()

    found = scene.lock(pip=[f"six==1.16 --hash=sha256:{'0' * 64} --hash=sha256:{right}"])

    assert found.lock.package("pip", "six").sha256 == right
    with pytest.raises(NoWheelError) as caught:
        scene.lock(pip=[f"six==1.16 --hash=sha256:{'0' * 64}"])
    assert f"--hash=sha256:{right}" in caught.value.remedy


def test_constraints_bind_and_do_not_ask(scene: Scene) -> None:
    scene.offer_pip("click", "8.0", "9.0")
    scene.offer_pip("spare", "1.0")
    scene.offer_pip("tool", "1.0", requires=["click"])
    place(scene, "bounds.txt", "click<9\nspare==1.0\n")

    found = scene.lock(pip=["tool", "-c bounds.txt"])

    assert versions(found) == {"click": "8.0", "tool": "1.0"}
    place(scene, "bounds.txt", "click<8.5\n")
    assert scene.lock(pip=["tool", "-c bounds.txt"]).kept
    place(scene, "bounds.txt", "click>8.5\n")
    assert versions(scene.lock(pip=["tool", "-c bounds.txt"])) == {"click": "9.0", "tool": "1.0"}


def test_constraints_bind_what_conda_owns(scene: Scene) -> None:
    scene.offer_conda("six", "1.16", "1.17")
    scene.offer_pip("tool", "1.0")
    place(scene, "bounds.txt", "six<1.17\nabsent<1\n")

    found = scene.lock(conda=["six"], pip=["tool", "-c bounds.txt"])

    assert found.lock.package("conda", "six").version == "1.16"
    assert versions(found) == {"tool": "1.0"}
    place(scene, "bounds.txt", "six<1\n")
    with pytest.raises(DisagreementError, match=r"constraint: six<1"):
        scene.lock(conda=["six"], pip=["tool", "-c bounds.txt"])


def test_prereleases_are_taken_when_asked_for(scene: Scene) -> None:
    scene.offer_pip("six", "1.16", "2.0b1")
    assert versions(scene.lock(pip=["six"])) == {"six": "1.16"}
    assert versions(scene.lock(pip=["six", "--pre"], upgrade=None)) == {"six": "2.0b1"}


def test_formats(scene: Scene) -> None:
    scene.offer_pip("six", "1.16")
    scene.index.add(make_sdist(scene.root / "sdists", "six", "1.17"))
    no_binary = ["six", "--no-binary six"]
    assert versions(scene.lock(pip=["six", "--only-binary :all:", "--prefer-binary"]))
    with pytest.raises(SpecError, match="--no-binary six would be built from source") as caught:
        scene.lock(pip=no_binary)
    assert 'allow-sdist = ["six"]' in caught.value.remedy
    found = scene.lock(pip=no_binary, policy={"allow-sdist": ["six"]})
    assert versions(found) == {"six": "1.17"}
    loose = {"wheels-only": False}
    only = scene.lock(pip=["six", "--only-binary six"], policy=loose, upgrade=None)
    assert versions(only) == {"six": "1.16"}
    with pytest.raises(SpecError, match="prefer-binary"):
        scene.lock(pip=["six", "--prefer-binary"], policy=loose)
    with pytest.raises(SpecError, match="no-binary :all:"):
        scene.lock(pip=["six", "--no-binary :all:"], policy=loose)


def test_a_local_project_is_refused_with_a_way_that_works(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.index.add(make_backend(scene.root / "wheels"))
    scene.offer_pip("six", "1.16")
    root = scene.root / "project"
    write_source(root / "environments" / "my project", "mine", "0.1", requires=["six"])
    with pytest.raises(SpecError) as caught:
        scene.lock(pip=['-e "./my project"'])
    command = re.search(r"\(python (-m pip wheel [^)]*)\)", caught.value.remedy)
    links = re.search(r"(--find-links .*) and NAME", caught.value.remedy)
    assert command is not None
    assert links is not None

    monkeypatch.setenv("PIP_INDEX_URL", scene.index.url)
    subprocess.run(
        [sys.executable, *shlex.split(command[1])],
        cwd=root,
        check=True,
        timeout=60,
    )
    found = scene.lock(pip=[links[1], "mine==0.1"])

    assert versions(found) == {"mine": "0.1", "six": "1.16"}
