"""Random worlds of both halves: what is locked is sound, found where there is any, and the best."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.locked_worlds import check_world
from tests.support.world_maker import WorldMaker

_GROUPS = 10
_EACH = 10


@pytest.mark.parametrize("group", range(_GROUPS))
def test_locks_of_random_worlds(
    group: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool_caches: Path
) -> None:
    del tool_caches
    found = {
        seed: faults
        for seed in range(group * _EACH, (group + 1) * _EACH)
        if (faults := check_world(WorldMaker(seed).make(), tmp_path / str(seed), monkeypatch))
    }
    assert not found, f"again with: make fuzz WORLDS=1 SEED={next(iter(found))}"
