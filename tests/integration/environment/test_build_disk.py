"""A disk that is full or read-only: one clear error, nothing lost, and the next call goes on."""

from __future__ import annotations

import errno
import logging
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import StorageError
from elt_env.lockfile.document import Lock
from elt_env.machine.process import Say
from elt_env.tools import Tools
from tests.support.proving import prove
from tests.support.sample import Sample, run_in, silent

_LIMIT = 20.0


def fill(disk: Path) -> Path:
    """Leave no byte on a disk, and return the file that holds all of them."""
    filler = disk / "filler"
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(disk).free))
    return filler


def filling_at(point: str, disk: Path) -> Say:
    """Return a `say` that fills the disk when a line starts with `point`."""

    def say(line: str, level: int = logging.INFO, /) -> None:
        del level
        if line.startswith(point):
            fill(disk)

    return say


def refused(lock: Lock, toolbox: Tools, say: Say = silent) -> StorageError:
    with pytest.raises(StorageError) as caught:
        ensure_prefix(lock, toolbox, say)
    assert caught.value.exit_code == 6
    assert not Prefix(toolbox.store.prefix_path(lock), lock).ready
    return caught.value


@pytest.mark.parametrize("no_space", ["4m", "16m"], indirect=True)
def test_a_disk_that_is_too_small(
    no_space: Path, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, home=str(no_space / "home"))

    error = refused(sample_lock, toolbox)

    assert "No space left" in error.problem
    assert str(no_space) in error.problem
    assert "ELT_ENV_HOME" in error.remedy
    larger = ["mount", "-o", "remount,size=400m", str(no_space)]
    subprocess.run(larger, check=True, timeout=_LIMIT)
    built = ensure_prefix(sample_lock, toolbox, silent)
    assert run_in(built.path, "alpha").stdout == f"alpha in {built.path}\n"


@pytest.mark.parametrize("no_space", ["400m"], indirect=True)
@pytest.mark.parametrize(
    "point", ["prefix: ", "conda: linked", "pip: installing", "command: ", "verify: "]
)
def test_a_disk_that_fills_up(
    point: str, no_space: Path, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, home=str(no_space / "home"))

    error = refused(sample_lock, toolbox, filling_at(point, no_space))

    assert "No space left" in error.problem
    assert str(no_space) in error.problem
    # The wipe that comes first needs no space.
    assert "No space left" in refused(sample_lock, toolbox).problem
    (no_space / "filler").unlink()
    built = ensure_prefix(sample_lock, toolbox, silent)
    assert run_in(built.path, "alpha").stdout == f"alpha in {built.path}\n"
    assert not list(built.path.parent.glob(".removed*"))


@pytest.mark.parametrize("no_space", ["400m"], indirect=True)
def test_the_pip_installer_on_a_full_disk(
    no_space: Path, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, home=str(no_space / "home"), installer="pip")
    error = refused(sample_lock, toolbox, filling_at("pip: installing", no_space))
    assert "No space left" in error.problem


@pytest.mark.parametrize("no_space", ["400m"], indirect=True)
def test_a_disk_that_is_full_when_evidence_is_kept(
    no_space: Path, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, home=str(no_space / "home"))
    ensure_prefix(sample_lock, toolbox, silent)
    filler = fill(no_space)

    with pytest.raises(StorageError, match="No space left"):
        prove("pip_check", sample_lock, toolbox, silent)

    assert toolbox.store.evidence(sample_lock.digest) == ()
    filler.unlink()
    assert prove("pip_check", sample_lock, toolbox, silent).status == "passed"


def test_a_store_that_is_not_writable(
    unwritable: Path, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, home=str(unwritable / "home"))

    error = refused(sample_lock, toolbox)

    assert str(unwritable) in error.problem
    assert os.strerror(errno.EROFS) in error.problem or os.strerror(errno.EACCES) in error.problem
    assert "ELT_ENV_HOME" in error.remedy


@pytest.mark.parametrize("no_space", ["400m"], indirect=True)
def test_a_store_that_becomes_read_only_loses_nothing(
    no_space: Path, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, home=str(no_space / "home"))
    built = ensure_prefix(sample_lock, toolbox, silent)
    other = sample.lock(conda=["tally"])
    remount = ["mount", "-o", "remount,{}", str(no_space)]
    subprocess.run([each.format("ro") for each in remount], check=True, timeout=_LIMIT)

    refused(other, toolbox)

    assert ensure_prefix(sample_lock, toolbox, silent).steps == ()
    assert run_in(built.path, "alpha").stdout == f"alpha in {built.path}\n"
    subprocess.run([each.format("rw") for each in remount], check=True, timeout=_LIMIT)
    assert ensure_prefix(other, toolbox, silent).steps
