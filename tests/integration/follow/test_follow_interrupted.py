"""A follower that is killed before each change that it makes to the disk."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.errors import InputError, IntegrityError
from elt_env.follow.as_prefix import AsPrefix
from elt_env.follow.follow import follow
from elt_env.follow.machine import Machine
from elt_env.lockfile.document import Lock
from elt_env.release.promote import promote
from elt_env.release.store import ReleaseStore
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.mover import mover
from tests.support.proving import prepare, pretend_built, toolbox_at
from tests.support.sample import silent

_OLD, _NEW = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _OLD.target
_LIMIT = 60.0
_NEVER = 100_000  # changes


@pytest.fixture
def source(tmp_path: Path) -> Tools:
    """A project in which the old lock is released; its store is the `source` of the follower."""
    source = toolbox_at(tmp_path / "project")
    (tmp_path / "follower").mkdir()
    (tmp_path / "follower" / "source").symlink_to(source.store.local_home)
    release(_OLD, source)
    return source


@pytest.fixture
def machine(source: Tools, tmp_path: Path) -> Machine:
    """A follower, on which the prefixes of both locks were made: building has tests of its own."""
    own = toolbox_at(tmp_path / "follower")
    assert source
    for lock in (_OLD, _NEW):
        pretend_built(lock, own)
    return Machine(_TARGET, Store(tmp_path / "follower" / "source"), own, "0" * 16)


def release(lock: Lock, source: Tools) -> None:
    prepare(lock, source)
    promote(_TARGET, source, silent, trigger="", by="")


def runs(machine: Machine) -> str | None:
    """Return the digest of what the entry points run; None before there are some."""
    program = ReleaseStore(machine.own).entry_points(_TARGET.name) / "tool"
    if not program.exists():
        return None
    done = subprocess.run([program], capture_output=True, text=True, timeout=_LIMIT, check=True)
    prefixes = {str(machine.own.prefix_path(lock)): lock.digest for lock in (_OLD, _NEW)}
    return prefixes[done.stdout.strip().removesuffix("/bin/tool")]


def test_killed_at_each_change_of_the_first_run_the_next_one_goes_on(
    machine: Machine, tmp_path: Path
) -> None:
    change = 1
    with mover(tmp_path / "follower") as moves:
        while moves.killed("follow", change):
            assert runs(machine) in (None, _OLD.digest)
            change += 1
    assert change > 10
    assert runs(machine) == _OLD.digest


def test_killed_at_each_change_of_a_move_the_next_run_goes_on(
    machine: Machine, source: Tools, tmp_path: Path
) -> None:
    follow(machine, silent, AsPrefix("none"))
    change, before, after = 1, _OLD, _NEW
    moved_early = []
    with mover(tmp_path / "follower") as moves:
        going = True
        while going:
            release(after, source)
            going = moves.killed("follow", change)
            moved_early.append(runs(machine) == after.digest)
            assert moved_early[-1] or runs(machine) == before.digest
            assert not moves.killed("follow", _NEVER)
            assert runs(machine) == after.digest
            change, before, after = change + 1, after, before
    assert moved_early.count(False) > 10
    assert moved_early[-1]
    releases = [ReleaseStore(each) for each in (machine.own, source.store)]
    own, history = (each.history(_TARGET.name) for each in releases)
    assert own == history


def test_a_store_that_was_set_back_is_refused(machine: Machine, source: Tools) -> None:
    release(_NEW, source)
    follow(machine, silent, AsPrefix("none"))
    pointer = machine.source.local_home / "current" / _TARGET.name
    pointer.unlink()
    pointer.symlink_to(f"../releases/{_TARGET.name}/000001")
    with pytest.raises(IntegrityError, match="set back"):
        follow(machine, silent, AsPrefix("none"))
    assert runs(machine) == _NEW.digest


def test_where_nothing_is_released_it_says_so(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="Nothing of"):
        follow(replace(machine, source=Store(tmp_path / "empty")), silent)
