"""A candidate is made beside the current lock, and taken only while it is one."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.errors import PolicyError
from elt_env.lock.candidate import Candidate, find_candidate
from elt_env.lock.make import Locked, Resolution, resolve, solve_unless_kept, write
from elt_env.tools import Tools
from tests.support.locking import Scene, target_of
from tests.support.project import at_moment


@pytest.fixture
def toolbox(scene: Scene) -> Tools:
    """The tools of a project with a lock of `tool` 1.0 and `part` 1.0; both have a 1.1."""
    scene.offer_pip("part", "1.0")
    scene.offer_pip("tool", "1.0", requires=["part"])
    made = scene.toolbox(pip=["tool"])
    scene.lock_with(made)
    scene.offer_pip("part", "1.1")
    scene.offer_pip("tool", "1.1", requires=["part"])
    return made


def _find(scene: Scene, toolbox: Tools, *upgrade: str) -> Candidate:
    names = upgrade or None
    found = find_candidate(target_of(toolbox), toolbox, scene.said, upgrade=names)
    assert found is not None
    return found


def _take(scene: Scene, toolbox: Tools, digest: str, *upgrade: str) -> Locked:
    scene.said.clear()
    say = scene.said
    found = solve_unless_kept(
        target_of(toolbox), toolbox, say, upgrade=upgrade, candidate=digest, trigger="a test"
    )
    return write(resolve(found, toolbox, say), toolbox, say)


def test_a_candidate_is_found_beside_the_lock_and_taken_as_it_is(
    scene: Scene, toolbox: Tools
) -> None:
    target = target_of(toolbox)
    before = toolbox.store.current_lock(target)
    found = _find(scene, toolbox, "part")
    assert [str(each) for each in found.changes] == ["^ part 1.0 → 1.1 (pip, upgraded)"]
    assert toolbox.store.current_lock(target) == before
    assert toolbox.store.read_lock(found.lock.digest, target) == found.lock

    scene.index.fault = "500"  # nothing is asked of anybody
    taken = _take(scene, toolbox, found.lock.digest)
    assert (taken.kept, taken.changes, taken.reasons) == (False, found.changes, ("a test",))
    assert toolbox.store.current_lock(target) == found.lock
    again = _take(scene, toolbox, found.lock.digest)
    assert (again.kept, again.reasons) == (True, ("the candidate is the current lock already",))
    scene.index.fault = None
    upgrade = ("part",)
    assert find_candidate(target, toolbox, scene.said, upgrade=upgrade) is None
    assert find_candidate(target, toolbox, scene.said, upgrade=()) is None


def test_a_candidate_of_before_the_current_lock_is_left_aside(scene: Scene, toolbox: Tools) -> None:
    found = _find(scene, toolbox, "part")
    later = toolbox.store.now().replace(year=2100)
    moved = at_moment(toolbox, later)
    newer = scene.lock_with(moved, upgrade=("tool",)).lock
    taken = _take(scene, toolbox, found.lock.digest, "part", "gone-from-the-lock")
    assert f"the candidate {found.lock.digest} is left aside" in scene.told
    assert newer.digest in scene.told
    assert {each.name: each.version for each in taken.lock.pip} == {"part": "1.1", "tool": "1.1"}


def test_a_candidate_that_does_not_satisfy_any_more_is_left_aside(
    scene: Scene, toolbox: Tools
) -> None:
    found = _find(scene, toolbox)
    before = toolbox.store.current_lock(target_of(toolbox))
    edited = scene.toolbox(pip=["tool<1.1"])
    kept = _take(scene, edited, found.lock.digest)
    assert "left aside: pip: tool 1.1 is locked, the spec wants tool<1.1" in scene.told
    assert kept.lock == before


def test_a_candidate_that_is_gone_or_damaged_is_left_aside(scene: Scene, toolbox: Tools) -> None:
    found = _find(scene, toolbox)
    (Path(toolbox.store.lock_directory(found.lock.digest)) / "pylock.toml").write_text("")
    for digest in (found.lock.digest, "sha256:" + "0" * 64, "../../elsewhere"):
        assert _take(scene, toolbox, digest).kept
        assert f"the candidate {digest} is left aside" in scene.told


def test_a_lock_that_was_made_meanwhile_is_kept(scene: Scene, toolbox: Tools) -> None:
    target, say = target_of(toolbox), scene.said
    late = resolve(solve_unless_kept(target, toolbox, say, upgrade=None), toolbox, say)
    assert isinstance(late, Resolution)
    first = scene.lock_with(toolbox, upgrade=("part",))
    kept = write(late, toolbox, say)
    assert (kept.kept, kept.lock) == (True, first.lock)
    assert kept.reasons == ("it was made meanwhile and satisfies",)


def test_a_lock_that_would_be_the_same_is_kept_as_it_is(scene: Scene, toolbox: Tools) -> None:
    made = scene.lock_with(toolbox, upgrade=None)
    again = scene.lock_with(toolbox, upgrade=None)
    assert (again.kept, again.lock) == (True, made.lock)
    assert again.reasons == ("nothing newer within the rules",)
    assert "nothing newer within the rules" in scene.told


def test_a_target_that_the_policy_does_not_list_takes_no_candidate(
    scene: Scene, toolbox: Tools
) -> None:
    found = _find(scene, toolbox)
    other = scene.toolbox(pip=["tool"], pythons=("3.12",))
    with pytest.raises(PolicyError, match=r"Python 3\.11 is not listed"):
        _take(scene, other, found.lock.digest)
