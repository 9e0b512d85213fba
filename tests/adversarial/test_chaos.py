"""Commands that are killed at random instants; `make chaos` kills a thousand."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.channel import Channel
from tests.support.chaos import chaos
from tests.support.index_server import IndexServer

_KILLS = 100
_SECONDS = 180.0  # what a run of the slow tests has for it


@pytest.mark.slow
def test_whatever_is_killed_the_release_works_and_verify_is_right(
    shared_python: Channel, index: IndexServer, tmp_path: Path
) -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    print(f"seed {seed}; again: make chaos KILLS={_KILLS} SEED={seed}")  # noqa: T201  # pytest shows it of a failure
    with chaos(tmp_path, shared_python, index, seed, print) as store:
        store.prepare()
        store.go_on(_KILLS, _SECONDS)
    assert store.kills.total()
