"""Roll backs between locks that count as built and proven."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from elt_env.environment.build import BuildResult
from elt_env.errors import InputError, IntegrityError, ProofError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.release import roll_back as module
from elt_env.release.log import release_log
from elt_env.release.move import MoveResult
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.release.store import ReleaseStore
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import (
    keep_current,
    prepare,
    pretend_built,
    pretend_packed,
    pretend_proven,
    toolbox_at,
)
from tests.support.said import Said

pytestmark = pytest.mark.usefixtures("unsynced")

_A, _B, _C = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(3))
_TARGET = _A.target


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    return toolbox_at(tmp_path)


def release(toolbox: Tools, *locks: Lock) -> None:
    for lock in locks:
        prepare(lock, toolbox)
        promote(_TARGET, toolbox, print, trigger="a reason", by="a test")


def back(toolbox: Tools, to: str | None = None) -> MoveResult:
    return roll_back(_TARGET, toolbox, print, to=to, trigger="it was bad", by="a test")


def history(toolbox: Tools) -> list[str]:
    return [each.digest for each in ReleaseStore(toolbox.store).history(_TARGET.name)]


def test_back_to_the_release_before(toolbox: Tools) -> None:
    release(toolbox, _A, _B)
    moved = back(toolbox)
    assert moved.before is not None
    assert moved.before.digest == _B.digest
    now = moved.release
    assert (now.number, now.digest, now.action) == (3, _A.digest, "rolled back")
    assert (now.trigger, now.by) == ("it was bad", "a test")
    assert now.evidence["pip_check"] == "passed"
    assert history(toolbox) == [_A.digest, _B.digest, _A.digest]


def test_the_current_lock_stays_what_it_is(toolbox: Tools) -> None:
    release(toolbox, _A, _B)
    back(toolbox)
    pointer = toolbox.store.pointer(_TARGET)
    assert pointer is not None
    assert pointer.current == _B.digest


def test_two_steps_back_are_two_steps(toolbox: Tools) -> None:
    release(toolbox, _A, _B, _C)
    assert back(toolbox).release.digest == _B.digest
    assert back(toolbox).release.digest == _A.digest


@pytest.mark.parametrize("length", [2, 12, 64, 71])
def test_back_to_a_digest_or_its_start(toolbox: Tools, length: int) -> None:
    release(toolbox, _A, _B, _C)
    for text in (_A.digest[:length], _A.digest.removeprefix("sha256:")[:length]):
        if text != "sh":
            assert back(toolbox, text).release.digest == _A.digest


def test_to_what_it_is_already(toolbox: Tools) -> None:
    release(toolbox, _A, _B)
    moved = back(toolbox, _B.digest)
    assert moved.kept
    assert history(toolbox) == [_A.digest, _B.digest]


def test_the_image_is_the_one_that_was_released_then(toolbox: Tools) -> None:
    prepare(_A, toolbox)
    image = pretend_packed(_A, toolbox, seed=1)
    release(toolbox, _A, _B)
    pretend_packed(_A, toolbox, seed=2, proven=False)
    assert back(toolbox).release.image == image.digest


def test_to_a_lock_that_was_never_released_but_is_proven(toolbox: Tools) -> None:
    release(toolbox, _A)
    toolbox.store.write_lock(_B)
    pretend_built(_B, toolbox)
    with pytest.raises(ProofError, match="pip_check was not run"):
        back(toolbox, _B.digest)
    pretend_proven(_B, toolbox)
    assert back(toolbox, _B.digest).release.digest == _B.digest
    # A step back from a lock that was proven, but turned out bad all the same.
    assert back(toolbox).release.digest == _A.digest


def test_a_released_lock_needs_no_evidence(toolbox: Tools) -> None:
    """Its checks may have been run again since, and the network may have been away then."""
    release(toolbox, _A, _B)
    pretend_proven(_A, toolbox, status="not_run")
    moved = back(toolbox)
    assert moved.release.digest == _A.digest
    assert moved.release.evidence["pip_check"] == "passed"


def test_there_is_nothing_to_go_back_to(toolbox: Tools) -> None:
    with pytest.raises(InputError, match="has no release yet"):
        back(toolbox)
    release(toolbox, _A)
    with pytest.raises(InputError, match="one release") as raised:
        back(toolbox)
    assert "--to DIGEST" in raised.value.remedy


@pytest.mark.parametrize("text", ["0000", "sha256:0000", "elt@3.11", "*", "../x"])
def test_no_such_lock(toolbox: Tools, text: str) -> None:
    release(toolbox, _A)
    with pytest.raises(InputError, match="no lock whose digest starts with") as raised:
        back(toolbox, text)
    assert "elt-env history elt@3.11" in raised.value.remedy


def test_a_start_that_several_locks_have(toolbox: Tools) -> None:
    release(toolbox, _A, _B)
    with pytest.raises(InputError, match="several locks") as raised:
        back(toolbox, "sha256:")
    assert _A.digest in raised.value.problem


def test_a_released_digest_wins_over_others_that_begin_alike(toolbox: Tools) -> None:
    release(toolbox, _A)
    first = _A.digest.removeprefix("sha256:")[0]
    release(toolbox, next(each for each in locks() if each.digest[7] != first))
    other = next(each for each in locks() if each.digest[7] == first)
    toolbox.store.write_lock(other)
    assert back(toolbox, first).release.digest == _A.digest


def locks() -> list[Lock]:
    return [lock_of(python_package(), pip_package("alpha", f"2.{n}")) for n in range(64)]


def test_a_prefix_that_was_collected_is_built_from_its_lock(
    toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    release(toolbox, _A, _B)
    shutil.rmtree(toolbox.store.prefix_path(_A))
    built: list[str] = []

    def build(lock: Lock, toolbox: Tools, say: Say) -> BuildResult:
        del say
        built.append(lock.digest)
        return BuildResult(pretend_built(lock, toolbox), ("create_prefix",))

    monkeypatch.setattr(module, "ensure_prefix", build)
    said = Said()
    roll_back(_TARGET, toolbox, said, trigger="", by="")
    assert built == [_A.digest]
    assert any("is gone; building it from its lock" in line for line in said)


def test_a_lock_that_is_gone_leaves_the_release(toolbox: Tools) -> None:
    release(toolbox, _A, _B)
    shutil.rmtree(toolbox.store.lock_directory(_A.digest))
    with pytest.raises(IntegrityError):
        back(toolbox)
    assert history(toolbox) == [_A.digest, _B.digest]
    assert [each.changes for each in release_log(_TARGET, toolbox.store)] == [None, None]


def test_a_prefix_that_is_there_is_not_built(toolbox: Tools) -> None:
    release(toolbox, _A, _B)
    said = Said()
    roll_back(_TARGET, toolbox, said, trigger="", by="")
    assert any("is there (ready), nothing to do" in line for line in said)


def test_the_log_says_what_each_release_changed(toolbox: Tools) -> None:
    release(toolbox, _A, _B)
    back(toolbox)
    keep_current(_C, toolbox)
    first, second, third = release_log(_TARGET, toolbox.store)
    assert (first.before, first.difference) == (None, "the first release")
    assert second.difference == "1 upgraded"
    assert third.difference == "1 downgraded"
    assert third.before == second.release
