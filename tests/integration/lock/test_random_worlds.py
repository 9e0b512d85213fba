"""Random worlds of both halves: what is locked is sound, found where there is any, and the best."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.locked_worlds import check_world
from tests.support.real_conda import installed_conda
from tests.support.world_maker import WorldMaker

_GROUPS = 10
_EACH = 10
_WITH_PIP = 12
_WITH_CONDA = 12
# Their smallest forms do not show what was wrong: a need that was only concluded, one of a version
# that the spec leaves out, one of a build that this machine cannot have, one under the Python that
# conda has, one of two lines on one package, and packages that need each other on a channel that a
# line names.
_ONCE_WRONG = (7300195, 7200059, 7200018, 7300368, 1129709, 1131049, 1150360, 1152043, 1152383)


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


@pytest.mark.parametrize("seed", _ONCE_WRONG)
def test_random_worlds_that_once_came_out_wrong(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool_caches: Path
) -> None:
    del tool_caches
    assert not check_world(WorldMaker(seed).make(), tmp_path / "world", monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [*range(_WITH_PIP), 1181093])  # in the last one pip gives up
def test_locks_of_random_worlds_that_pip_resolves(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool_caches: Path
) -> None:
    del tool_caches
    assert not check_world(WorldMaker(seed).make(), tmp_path / "world", monkeypatch, resolver="pip")


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(_WITH_CONDA))
def test_locks_of_random_worlds_that_conda_solves(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tool_caches: Path
) -> None:
    del tool_caches
    program = str(installed_conda(tmp_path / "home").program())
    assert not check_world(WorldMaker(seed).make(), tmp_path / "world", monkeypatch, conda=program)
