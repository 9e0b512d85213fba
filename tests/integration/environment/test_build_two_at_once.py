"""Two builders of one lock: one builds, the other waits, and says so."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import BusyError
from elt_env.lockfile.document import Lock
from tests.support.builder import Builder
from tests.support.sample import Sample, run_in, silent


def wheels_asked_for(sample: Sample) -> Counter[str]:
    asked = sample.index.requests
    return Counter({path: asked[path] for path in asked if path.endswith(".whl")})


def test_one_builds_and_the_other_waits(sample: Sample, sample_lock: Lock, tmp_path: Path) -> None:
    sample.toolbox(tmp_path)
    directory = sample.directory(sample_lock)
    before = wheels_asked_for(sample)
    sample.index.hang = 1.0
    first = Builder(tmp_path, directory, tmp_path / "first")
    try:
        first.wait_for("prefix:")
        second = Builder(tmp_path, directory, tmp_path / "second")
        try:
            second.wait_for("waiting: another process is building")
            assert (first.wait(), second.wait()) == (0, 0)
        finally:
            second.close()
    finally:
        first.close()
        sample.index.hang = 0.0

    assert first.lines[-1] == "steps: create_prefix, pip_install_once, seal_prefix"
    assert second.lines[-1] == "steps: none"
    assert not [line for line in second.lines if line.startswith(("conda:", "pip:", "command:"))]
    assert set((wheels_asked_for(sample) - before).values()) == {1}


def test_the_one_that_waited_builds_when_the_first_one_dies(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    first = Builder(
        tmp_path, sample.directory(sample_lock), tmp_path / "first", halt_after="conda: linked"
    )
    first.wait_until_halted()

    def end_first(line: str, *_: int) -> None:
        if line.startswith("waiting:"):
            first.close()

    built = ensure_prefix(sample_lock, toolbox, end_first)

    assert built.steps
    assert run_in(built.path, "alpha").stdout == f"alpha in {built.path}\n"


def test_a_builder_that_takes_too_long(sample: Sample, sample_lock: Lock, tmp_path: Path) -> None:
    toolbox = sample.toolbox(tmp_path, busy_limit="0")
    first = Builder(
        tmp_path, sample.directory(sample_lock), tmp_path / "first", halt_after="conda: linked"
    )
    try:
        first.wait_until_halted()
        with pytest.raises(BusyError, match=r"Another process .*elt@") as caught:
            ensure_prefix(sample_lock, toolbox, silent)
    finally:
        first.close()

    assert caught.value.exit_code == 7
    assert caught.value.retryable
    assert "busy-limit" in caught.value.remedy


def test_locks_are_built_side_by_side(sample: Sample, sample_lock: Lock, tmp_path: Path) -> None:
    locks = [sample_lock, sample.lock(conda=["tally"]), sample.lock(pip=["beta"])]
    toolbox = sample.toolbox(tmp_path)
    for lock in locks:
        # Each has something to wipe first.
        toolbox.store.prefix_path(lock).mkdir(parents=True)
    built: list[Path] = []
    threads = [
        threading.Thread(
            target=lambda each: built.append(ensure_prefix(each, toolbox, silent).path), args=[lock]
        )
        for lock in locks
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(built) == len(locks)
    assert all(Prefix(toolbox.store.prefix_path(lock), lock).ready for lock in locks)
