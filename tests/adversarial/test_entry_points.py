"""Entry points that were edited or deleted are named, and written again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.errors import IntegrityError
from elt_env.pipeline import Pipeline
from elt_env.release.promote import promote
from elt_env.release.repair import repair, repair_pointer
from elt_env.release.store import ReleaseStore
from elt_env.release.verify import locks_of, require_whole, verify
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import prepare, toolbox_at
from tests.support.said import Said
from tests.support.sample import silent

_A, _B = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _A.target


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    toolbox = toolbox_at(tmp_path)
    for lock in (_A, _B):
        prepare(lock, toolbox)
        promote(_TARGET, toolbox, silent, trigger="", by="a test")
    return toolbox


def content(toolbox: Tools) -> dict[str, tuple[bytes, int]]:
    root = toolbox.store.local_home / "releases" / _TARGET.name
    return {
        str(each.relative_to(root)): (each.read_bytes(), each.stat().st_mode)
        for each in root.rglob("*")
        if each.is_file()
    }


def edit(path: Path) -> None:
    path.write_text(path.read_text().replace("000002", "000001").replace("promoted", "pr0moted"))
    path.write_text(path.read_text() + "\n")


def forbid(path: Path) -> None:
    path.chmod(0o600)


def stray(path: Path) -> None:
    path.with_name("stray").write_text("#!/bin/sh\n")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def link(path: Path) -> None:
    """Leave what is there, behind a link from which anybody can take it away."""
    elsewhere = path.parents[4] / f"{path.name}-elsewhere"
    path.rename(elsewhere)
    path.symlink_to(elsewhere)


def dangle(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


def directory(path: Path) -> None:
    path.unlink()
    (path / "inside").mkdir(parents=True)


def dangle_directory(path: Path) -> None:
    shutil.rmtree(path)
    path.symlink_to("nowhere")


def file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("no directory\n")


def pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


_CHANGES = [edit, Path.unlink, forbid, stray, empty, link, dangle, directory, pipe]


@pytest.mark.parametrize("change", _CHANGES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["bin/tool", "environment.sh", "release.json"])
@pytest.mark.parametrize("by", ["repair", "build"])
def test_a_file_is_named_and_written_again(
    by: str, name: str, change: Callable[[Path], None], toolbox: Tools
) -> None:
    before = content(toolbox)
    change(toolbox.store.local_home / "current" / _TARGET.name / name)
    damages = verify(_B, toolbox.store, silent)
    assert {each.part for each in damages} == {"release"}
    with pytest.raises(IntegrityError, match="release: ") as raised:
        require_whole(_B, damages)
    assert "elt-env verify elt@3.11 --repair" in raised.value.remedy
    if by == "repair":
        repair(_B, damages, toolbox, silent)
    else:
        assert promote(_TARGET, toolbox, silent, trigger="", by="a test").kept
    assert verify(_B, toolbox.store, silent) == ()
    assert content(toolbox) == before


def test_a_build_that_waits_for_a_person_mends_what_is_released(
    toolbox: Tools, tmp_path: Path
) -> None:
    manual = toolbox_at(tmp_path, promote="manual")
    for lock in (_B, _A):  # what is the release, and what waits to become it
        before = content(toolbox)
        (toolbox.store.local_home / "current" / _TARGET.name / "bin/tool").unlink()
        pipeline = Pipeline(target=_TARGET, tools=manual, say=silent)
        pipeline.promote_built(lock, trigger="", by="a test")
        assert content(toolbox) == before


@pytest.mark.parametrize("name", ["bin", "."])
@pytest.mark.parametrize("change", [link, dangle_directory, file])
def test_a_directory_that_is_none_is_named_and_made_again(
    change: Callable[[Path], None], name: str, toolbox: Tools
) -> None:
    before = content(toolbox)
    change((toolbox.store.local_home / "current" / _TARGET.name).resolve().joinpath(name).resolve())
    damages = verify(_B, toolbox.store, silent)
    assert {each.part for each in damages} == {"release"}
    repair(_B, damages, toolbox, silent)
    assert verify(_B, toolbox.store, silent) == ()
    assert content(toolbox) == before
    assert not [
        each for each in (toolbox.store.local_home / "releases").rglob("*") if each.is_symlink()
    ]


def gone(link: Path) -> None:
    link.unlink()


def to_an_older_one(link: Path) -> None:
    link.unlink()
    link.symlink_to(f"../releases/{_TARGET.name}/000001")


def to_nothing(link: Path) -> None:
    link.unlink()
    link.symlink_to(f"../releases/{_TARGET.name}/000009")


def a_directory(link: Path) -> None:
    goal = link.resolve()
    link.unlink()
    shutil.copytree(goal, link)


@pytest.mark.parametrize(
    "change", [gone, to_an_older_one, to_nothing, a_directory], ids=lambda f: f.__name__
)
def test_the_link_is_named_and_led_back(change: Callable[[Path], None], toolbox: Tools) -> None:
    link = toolbox.store.local_home / "current" / _TARGET.name
    change(link)
    with pytest.raises(IntegrityError, match="which leads to the release") as raised:
        locks_of(_TARGET, toolbox.store)
    assert raised.value.remedy.startswith("Lead it there: elt-env verify elt@3.11 --repair")
    repair_pointer(_TARGET, toolbox.policy, toolbox.store, silent)
    assert [each.digest for each in locks_of(_TARGET, toolbox.store)] == [_B.digest]
    assert verify(_B, toolbox.store, silent) == ()


def test_a_link_that_is_gone_is_made_again_by_a_build(toolbox: Tools) -> None:
    (toolbox.store.local_home / "current" / _TARGET.name).unlink()
    said = Said()
    assert promote(_TARGET, toolbox, said, trigger="", by="a test").kept
    assert any("current/elt@3.11 is gone" in line for line in said)
    release = ReleaseStore(toolbox.store).current(_TARGET.name)
    assert release is not None
    assert (release.digest, release.number) == (_B.digest, 2)


def test_the_only_release_is_not_taken_for_none(tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path)
    prepare(_A, toolbox)
    promote(_TARGET, toolbox, silent, trigger="", by="a test")
    (toolbox.store.local_home / "current" / _TARGET.name).unlink()
    with pytest.raises(IntegrityError, match="is gone"):
        locks_of(_TARGET, toolbox.store)


@pytest.mark.parametrize("change", [lambda _: None, to_nothing, a_directory])
def test_where_no_release_is_left_the_link_goes_and_a_promotion_makes_one(
    change: Callable[[Path], None], toolbox: Tools
) -> None:
    link = toolbox.store.local_home / "current" / _TARGET.name
    change(link)
    shutil.rmtree(toolbox.store.local_home / "releases")
    with pytest.raises(IntegrityError, match="none is left") as raised:
        locks_of(_TARGET, toolbox.store)
    assert raised.value.remedy.startswith("Remove it with: elt-env verify elt@3.11 --repair")
    repair_pointer(_TARGET, toolbox.policy, toolbox.store, silent)
    assert not link.exists()
    assert not link.is_symlink()
    assert promote(_TARGET, toolbox, silent, trigger="", by="a test").release.number == 1
    assert verify(_B, toolbox.store, silent) == ()


def test_a_directory_of_a_release_that_is_gone_is_written_again(toolbox: Tools) -> None:
    before = content(toolbox)
    shutil.rmtree(toolbox.store.local_home / "current" / _TARGET.name / "bin")
    shutil.rmtree((toolbox.store.local_home / "current" / _TARGET.name).resolve())
    repair(_B, verify(_B, toolbox.store, silent), toolbox, silent)
    assert content(toolbox) == before
