"""The benchmark of locking, on a small index."""

from __future__ import annotations

import pytest

from benchmarks import lock
from tests.support.locking import Scene


def test_a_lock_and_a_resolve_are_in_the_table_and_the_lock_stays(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.offer_both("six", "1.16")
    scene.offer_pip("alpha", "1.0", requires=["six"])
    locked = scene.lock(conda=["six"], pip=["alpha"])
    scene.offer_pip("alpha", "2.0")
    place = str(scene.root / "project")
    assert lock.main([place, "--rounds", "1"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert [each.partition("  ")[0] for each in rows[-2:]] == [
        "floor: one uv pip compile",
        "elt-env, all may be upgraded",
    ]
    toolbox = scene.toolbox(conda=["six"], pip=["alpha"])
    assert toolbox.store.current_lock(locked.lock.target) == locked.lock
    assert lock.main([place, "--target", "elt@3.12"]) == 2
    assert "elt@3.12" in capsys.readouterr().err
