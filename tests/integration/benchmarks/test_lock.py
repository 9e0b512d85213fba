"""The benchmark of locking, on a small index."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import lock
from benchmarks.side_by_side import measure
from tests.support.locking import Scene
from tests.support.said import Said


def test_a_lock_and_a_resolve_are_measured_and_the_lock_stays(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.offer_both("six", "1.16")
    scene.offer_pip("alpha", "1.0", requires=["six"])
    locked = scene.lock(conda=["six"], pip=["alpha"])
    scene.offer_pip("alpha", "2.0")
    toolbox = scene.toolbox(conda=["six"], pip=["alpha"])
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    said, target = Said(), locked.lock.target
    found = measure(lock.contenders(target, toolbox), 1, tmp_path, said)
    assert [each.name for each in found][:3] == [lock.FLOOR, lock.UPGRADED, lock.KEPT]
    assert "not measured: lock, poetry, for want of poetry" in said
    assert toolbox.store.current_lock(target) == locked.lock
