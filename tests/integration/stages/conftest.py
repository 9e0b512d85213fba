"""Fixtures of the stages' tests."""

from __future__ import annotations

import pytest

from tests.support.locking import Scene, fill


@pytest.fixture
def filled(scene: Scene) -> Scene:
    """A scene with something to lock; see `lock_example`."""
    fill(scene)
    return scene
