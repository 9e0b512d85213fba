"""Moves of a release that are killed at every step, and the programs that run meanwhile."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.lockfile.document import Lock
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.release.store import ReleaseStore
from elt_env.report.show import show
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.mover import mover
from tests.support.proving import keep_current, prepare, pretend_proven, toolbox_at
from tests.support.sample import Sample, silent

_OLD, _NEW = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _OLD.target
_LIMIT = 60.0
_AT_ONCE = 20


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    """A project in which the old lock is released, and the new one is the proven current one."""
    toolbox = toolbox_at(tmp_path)
    for lock in (_OLD, _NEW):
        prepare(lock, toolbox)
        if lock is _OLD:
            promote(_TARGET, toolbox, silent, trigger="", by="")
    return toolbox


def released(toolbox: Tools) -> str:
    """Return the digest of the release, when all who can be asked tell the same."""
    releases = ReleaseStore(toolbox.store)
    done = subprocess.run(
        [releases.entry_points(_TARGET.name) / "tool"],
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    prefixes = {str(toolbox.store.prefix_path(lock)): lock.digest for lock in (_OLD, _NEW)}
    runs = prefixes[done.stdout.strip().removesuffix("/bin/tool")]
    history = releases.history(_TARGET.name)
    assert [each.number for each in history] == list(range(1, len(history) + 1))
    shown = show(_TARGET, toolbox.store).to_json()["release"]
    assert runs == history[-1].digest == shown["current"]
    return runs


def test_killed_at_each_step_of_a_promotion_and_a_roll_back(toolbox: Tools, tmp_path: Path) -> None:
    history = ReleaseStore(toolbox.store).history
    moved_early = []
    with mover(tmp_path) as moves:
        change = 1
        going = True
        while going:
            going = moves.killed("promote", change)
            moved_early.append(released(toolbox) == _NEW.digest)
            promote(_TARGET, toolbox, silent, trigger="", by="")
            assert released(toolbox) == _NEW.digest

            going = moves.killed("rollback", change) or going
            before = released(toolbox)
            roll_back(_TARGET, toolbox, silent, to=_OLD.digest, trigger="", by="")
            assert released(toolbox) == _OLD.digest
            assert len(history(_TARGET.name)) == 1 + 2 * change, before
            change += 1
    # Most of the work is done before the switch, and nothing of it could be seen.
    assert moved_early.count(False) > len(moved_early) / 2
    assert moved_early[-1]
    assert {each.name for each in (toolbox.store.local_home / "current").iterdir()} == {
        _TARGET.name
    }


# Programs that run


@pytest.fixture(scope="module")
def locks(
    shared_sample: Sample, sample_lock: Lock, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Lock, Lock]:
    """Two locks with a script `tally`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        return sample_lock, shared_sample.lock(conda=["tally"], pip=["beta"])


@pytest.fixture
def real(sample: Sample, locks: tuple[Lock, Lock], tmp_path: Path) -> Tools:
    """A project in which both are built, and the first is released."""
    toolbox = sample.toolbox(tmp_path)
    for lock in locks:
        ensure_prefix(lock, toolbox, silent)
        pretend_proven(lock, toolbox)
    switch_to(locks[0], toolbox)
    return toolbox


def switch_to(lock: Lock, toolbox: Tools) -> None:
    keep_current(lock, toolbox)
    promote(lock.target, toolbox, silent, trigger="", by="")


# Says that it runs, waits, and only then imports what it needs.
_LATE = """\
import sys
print("runs", flush=True)
sys.stdin.readline()
import decimal, sqlite3, tally, xml.dom.minidom, zoneinfo, subprocess
own = subprocess.run([sys.executable, "-c", "import sys; print(sys.prefix)"],
                     capture_output=True, text=True, check=True).stdout.strip()
print(sys.prefix, sys.executable, tally.__file__, decimal.__file__, own, sep="\\n")
"""


def test_a_switch_disturbs_no_program_that_runs(real: Tools, locks: tuple[Lock, Lock]) -> None:
    bin_ = ReleaseStore(real.store).entry_points(locks[0].target.name)
    with started(bin_ / "python", "-c", _LATE) as programs:
        switch_to(locks[1], real)
        for each in programs:
            assert each.stdin is not None
            each.stdin.write("go on\n")
            each.stdin.flush()
        outputs = [each.communicate(timeout=_LIMIT) for each in programs]
    assert [each.returncode for each in programs] == [0] * _AT_ONCE, outputs
    prefix = str(real.store.prefix_path(locks[0]))
    for output, fault in outputs:
        lines = output.split()
        assert fault == ""
        assert (lines[0], lines[-1]) == (prefix, prefix)
        assert all(line.startswith(prefix) for line in lines)


@contextmanager
def started(*command: str | Path) -> Iterator[list[subprocess.Popen[str]]]:
    """Yield twenty programs that have said that they run."""
    pipe = subprocess.PIPE
    programs = [
        subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True)
        for _ in range(_AT_ONCE)
    ]
    try:
        for each in programs:
            assert each.stdout is not None
            assert each.stdout.readline() == "runs\n"
        yield programs
    finally:
        for each in programs:
            each.kill()
            each.communicate()


def test_programs_that_start_while_it_is_switched_again_and_again(
    real: Tools, locks: tuple[Lock, Lock]
) -> None:
    tally = ReleaseStore(real.store).entry_points(locks[0].target.name) / "tally"
    done: list[subprocess.CompletedProcess[str]] = []

    def use() -> None:
        done.extend(
            subprocess.run([tally], capture_output=True, text=True, timeout=_LIMIT, check=False)
            for _ in range(_AT_ONCE)
        )

    user = threading.Thread(target=use)
    user.start()
    turn = 0
    while user.is_alive():
        turn += 1
        switch_to(locks[turn % 2], real)
        time.sleep(0.01)
    user.join()
    assert turn > 2
    known = {f"tally in {real.store.prefix_path(lock)}\n" for lock in locks}
    assert [(each.returncode, each.stderr) for each in done] == [(0, "")] * _AT_ONCE
    assert {each.stdout for each in done} <= known
