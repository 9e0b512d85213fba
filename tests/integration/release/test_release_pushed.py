"""The registry's tag of the release moves with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from elt_env.errors import RegistryError
from elt_env.image import spec as oci
from elt_env.image.push import push_candidate
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import short
from elt_env.release.move import MoveResult
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.release.store import ReleaseStore
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.loopback import dead_url
from tests.support.proving import lose_image, prepare, pretend_packed, toolbox_at
from tests.support.registry_server import docker_registry, needs_registry

pytestmark = needs_registry

_OLD, _NEW = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _OLD.target


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with docker_registry(tmp_path_factory.mktemp("registry")) as host:
        yield host


@pytest.fixture
def place(registry: str, request: pytest.FixtureRequest) -> str:
    """A repository of this test's own."""
    return f"{registry}/team/{request.node.name.replace('_', '-')}"


def move(toolbox: Tools) -> MoveResult:
    return promote(_TARGET, toolbox, print, trigger="a reason", by="a test")


def back(toolbox: Tools, to: Lock | None = None) -> MoveResult:
    digest = to.digest if to else None
    return roll_back(_TARGET, toolbox, print, to=digest, trigger="a reason", by="a test")


def tags(place: str) -> dict[str, str]:
    """Return what each tag of a repository is, but for those of referrers."""
    host, _, name = place.partition("/")
    listed = httpx.get(f"http://{host}/v2/{name}/tags/list")
    known = listed.json().get("tags") or [] if listed.is_success else []
    found = {}
    for tag in known:
        url = f"http://{host}/v2/{name}/manifests/{tag}"
        answer = httpx.get(url, headers={"Accept": oci.MANIFEST})
        found[tag] = oci.describe(answer.content, "").digest
    return {tag: digest for tag, digest in found.items() if not tag.startswith("sha256-")}


def released(toolbox: Tools) -> str | None:
    release = ReleaseStore(toolbox.store).current(_TARGET.name)
    return release.digest if release else None


def test_the_tag_of_the_release_moves_there_and_back(place: str, tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path, push=place)
    prepare(_OLD, toolbox)
    old = pretend_packed(_OLD, toolbox, seed=1).digest
    pushed = push_candidate(_TARGET, toolbox.project, toolbox.store, print)
    assert pushed is not None
    assert tags(place) == {short(_OLD.digest): old}  # packed, and not released

    move(toolbox)
    assert tags(place)["3.11"] == old
    prepare(_NEW, toolbox)
    new = pretend_packed(_NEW, toolbox, seed=2).digest
    move(toolbox)
    assert tags(place)["3.11"] == new

    back(toolbox)
    assert tags(place)["3.11"] == old
    assert released(toolbox) == _OLD.digest


def test_an_image_that_was_collected_is_still_in_the_registry(place: str, tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path, push=f"{place}:live")
    prepare(_OLD, toolbox)
    old = pretend_packed(_OLD, toolbox, seed=1).digest
    move(toolbox)
    prepare(_NEW, toolbox)
    new = pretend_packed(_NEW, toolbox, seed=2).digest
    move(toolbox)
    assert tags(place) == {"live": new}
    lose_image(_OLD, toolbox)
    assert back(toolbox).release.image == old
    assert tags(place) == {"live": old}


def test_a_registry_that_is_away_keeps_a_promotion_back(place: str, tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path, push=place)
    prepare(_OLD, toolbox)
    pretend_packed(_OLD, toolbox, seed=1)
    move(toolbox)

    away = toolbox_at(tmp_path, push=f"{urlsplit(dead_url()).netloc}/elt")
    prepare(_NEW, away)
    new = pretend_packed(_NEW, away, seed=2).digest
    with pytest.raises(RegistryError) as raised:
        move(away)
    assert raised.value.retryable
    assert released(away) == _OLD.digest

    again = toolbox_at(tmp_path, push=place)
    assert move(again).release.number == 2
    assert (released(again), tags(place)["3.11"]) == (_NEW.digest, new)


def test_a_registry_that_is_away_does_not_hold_up_a_roll_back(place: str, tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path, push=place)
    prepare(_OLD, toolbox)
    old = pretend_packed(_OLD, toolbox, seed=1).digest
    move(toolbox)
    prepare(_NEW, toolbox)
    new = pretend_packed(_NEW, toolbox, seed=2).digest
    move(toolbox)

    away = toolbox_at(tmp_path, push=f"{urlsplit(dead_url()).netloc}/elt")
    with pytest.raises(RegistryError):
        back(away)
    assert (released(away), tags(place)["3.11"]) == (_OLD.digest, new)

    there = toolbox_at(tmp_path, push=place)
    assert back(there, _OLD).kept
    assert tags(place)["3.11"] == old


def test_a_promotion_that_changes_nothing_mends_the_tag(place: str, tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path, push=place)
    prepare(_OLD, toolbox)
    image = pretend_packed(_OLD, toolbox).digest
    without = toolbox_at(tmp_path)
    move(without)
    assert tags(place) == {}
    assert move(toolbox_at(tmp_path, push=place)).kept
    assert tags(place) == {"3.11": image}
