"""What a project has fetched and made, another one takes, and nothing that was forged."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.file_list import list_prefix
from elt_env.lockfile.document import Lock
from elt_env.release.collect import collect
from elt_env.tools import Tools
from tests.support.said import Said
from tests.support.sample import Sample, silent

_FORGED = b"forged"


def _project(sample: Sample, root: Path) -> Tools:
    return sample.toolbox(root, cache_home="user")


def _build(lock: Lock, toolbox: Tools) -> tuple[dict[str, str], list[str]]:
    """Build, and return what the prefix holds, and what was said."""
    said = Said()
    prefix = ensure_prefix(lock, toolbox, said).path
    return list_prefix(prefix).files, said


def _another(first: Tools, sample: Sample) -> Tools:
    """Return a project with a store of its own, where the first one was."""
    root = first.project.root
    root.rename(root.with_name("aside"))
    return _project(sample, root)


@pytest.fixture
def first(
    sample: Sample, sample_lock: Lock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Tools:
    """A project that has built the lock."""
    monkeypatch.delenv("ELT_ENV_CACHE_HOME")
    toolbox = _project(sample, tmp_path / "first")
    toolbox.store.write_lock(sample_lock)
    _build(sample_lock, toolbox)
    return toolbox


def test_a_second_project_fetches_and_compiles_nothing_anew(
    first: Tools, sample: Sample, sample_lock: Lock
) -> None:
    before, _ = _build(sample_lock, first)
    sample.index.requests.clear()
    second = _another(first, sample)
    files, said = _build(sample_lock, second)

    assert files == before
    assert not sample.index.requests
    assert not [*second.store.local_home.glob("cache/*")]
    (line,) = (each for each in said if each.endswith("were compiled before"))
    _, taken, _, every, *_ = line.split()
    assert taken == every


def _forge_bytecode(cache: Path) -> None:
    for each in cache.glob("bytecode/*/*"):
        each.write_bytes(each.read_bytes()[: -len(_FORGED)] + _FORGED)


def _forge_all_with_a_key_beside(cache: Path) -> None:
    _forge_bytecode(cache)
    for name in ("cache.key", "bytecode.key"):
        (cache / name).write_bytes(_FORGED)


def _forge_archives(cache: Path) -> None:
    for each in (*cache.glob("wheels/*/*"), *cache.glob("conda/archives/*/*")):
        if each.is_file():
            each.unlink()
            each.write_bytes(_FORGED)


@pytest.mark.parametrize("forge", [_forge_bytecode, _forge_all_with_a_key_beside, _forge_archives])
def test_what_was_forged_reaches_no_other_project(
    forge: Callable[[Path], None], first: Tools, sample: Sample, sample_lock: Lock
) -> None:
    before, _ = _build(sample_lock, first)
    forge(first.project.caches.path)
    assert _build(sample_lock, _another(first, sample))[0] == before


def test_a_cache_that_others_can_write_is_not_used(
    first: Tools, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    first.project.caches.path.chmod(0o770)
    second = _project(sample, tmp_path / "second")
    _, said = _build(sample_lock, second)
    assert any("can be written by others" in each for each in said)
    assert [*second.store.local_home.glob("cache/bytecode/*")]


def _age(place: Path, days: int) -> None:
    then = time.time() - days * 86400.0
    for directory, names, files in os.walk(place):
        for name in (*names, *files):
            os.utime(Path(directory) / name, (then, then), follow_symlinks=False)


def _archives(toolbox: Tools) -> set[str]:
    cache = toolbox.project.caches.path
    return {each.name for each in (*cache.glob("wheels/*"), *cache.glob("conda/archives/*"))}


def test_one_project_collects_nothing_that_another_one_wants(
    first: Tools, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    first.store.set_current(sample_lock.target, sample_lock.digest, first.store.now())
    second = _project(sample, tmp_path / "second")
    there = _archives(second)

    _age(second.project.caches.path, 29)
    collect(second.project, second.store, silent, grace=timedelta(0))
    assert _archives(second) == there

    _age(second.project.caches.path, 31)
    collect(first.project, first.store, silent, grace=timedelta(0))  # marks what it wants
    collect(second.project, second.store, silent, grace=timedelta(0))
    assert _archives(second) == there & {each.sha256 for each in sample_lock.packages} != set()

    _age(second.project.caches.path, 31)
    collect(second.project, second.store, silent, grace=timedelta(0))
    assert _archives(second) == set()
