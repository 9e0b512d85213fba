"""A builder that is killed or interrupted anywhere: the next one makes it good."""

from __future__ import annotations

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from elt_env.environment.build import changed_since_sealed, ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.lockfile.document import Lock
from elt_env.runtime.files import remove
from elt_env.tools import Tools
from tests.support.builder import Builder
from tests.support.sample import Sample, run_in, silent

_SECONDS = 20.0
_POINTS = [
    ("conda: linked", signal.SIGKILL),
    ("pip: installing", signal.SIGKILL),
    ("command:", signal.SIGKILL),
    ("command:", signal.SIGINT),
    ("is sealed", signal.SIGKILL),
]
_POINTS_OF_LINKING = ["was sealed before", "are linked from", "pip: installing", "command:"]


@pytest.fixture(scope="module")
def previous(shared_sample: Sample, tmp_path_factory: pytest.TempPathFactory) -> Lock:
    """The lock that was built before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        return shared_sample.lock(conda=["tally"], pip=["beta"])


@pytest.fixture(scope="module")
def project(
    shared_sample: Sample, previous: Lock, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A project in which the previous lock is built."""
    root = tmp_path_factory.mktemp("project")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UV_CACHE_DIR", str(tmp_path_factory.mktemp("uv")))
        shared_sample.build(root, previous)
    return root


@contextlib.contextmanager
def building(sample: Sample, lock: Lock, root: Path, halt_after: str = "") -> Iterator[Builder]:
    builder = Builder(root, sample.directory(lock), root / "tmp", halt_after)
    try:
        yield builder
    finally:
        builder.close()


def eventually(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + _SECONDS
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    return condition()


def require_repaired(lock: Lock, toolbox: Tools) -> None:
    """Build, and look whether all is as if it had never been interrupted."""
    built = ensure_prefix(lock, toolbox, silent)
    prefix = Prefix(built.path, lock)
    assert prefix.ready
    assert {each.name: each.version for each in prefix.distributions()} == lock.distributions
    assert run_in(built.path, "alpha").stdout == f"alpha in {built.path}\n"
    others = {each.name for each in built.path.parent.iterdir()} - {built.path.name}
    beside = (".lock", ".files.json")
    assert not [
        each for each in others if not each.startswith("elt@") and not each.endswith(beside)
    ]


@pytest.mark.parametrize(("point", "end"), _POINTS)
def test_the_next_call_repairs_it_and_the_previous_prefix_works(  # noqa: PLR0917
    point: str,
    end: signal.Signals,
    sample: Sample,
    sample_lock: Lock,
    previous: Lock,
    project: Path,
) -> None:
    toolbox = sample.toolbox(project)
    prefix = Prefix(toolbox.store.prefix_path(sample_lock), sample_lock)
    prefix.wipe()
    remove(toolbox.project.caches.path / "sealed")  # it is not made of the previous one
    before = toolbox.store.prefix_path(previous)

    with building(sample, sample_lock, project, halt_after=point) as builder:
        builder.wait_until_halted()
        builder.end_with(end)
        assert not builder.tools

    assert not prefix.ready
    assert run_in(before, "tally").stdout == f"tally in {before}\n"
    require_repaired(sample_lock, toolbox)
    assert ensure_prefix(previous, toolbox, silent).steps == ()
    assert run_in(before, "tally").stdout == f"tally in {before}\n"


@pytest.mark.parametrize("point", _POINTS_OF_LINKING)
def test_so_it_does_where_it_is_made_of_the_previous_one(
    point: str, sample: Sample, sample_lock: Lock, previous: Lock
) -> None:
    with tempfile.TemporaryDirectory(prefix="elt-env-") as name:  # a long place is not linked
        root = Path(name).resolve()
        toolbox = sample.toolbox(root)
        before = Prefix(sample.build(root, previous).path, previous)
        with building(sample, sample_lock, root, halt_after=point) as builder:
            builder.wait_until_halted()
            builder.end_with(signal.SIGKILL)
            assert not builder.tools
        assert not Prefix(toolbox.store.prefix_path(sample_lock), sample_lock).ready
        require_repaired(sample_lock, toolbox)
        assert changed_since_sealed(before) == ()


@pytest.mark.parametrize("seconds", [0.05, 0.2])
def test_while_conda_extracts_and_links(
    seconds: float, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    with building(sample, sample_lock, tmp_path) as builder:
        builder.wait_for("conda: linking")
        time.sleep(seconds)
        builder.end_with(signal.SIGKILL)
    cache = toolbox.store.local_home / "cache/conda/pkgs"
    for left in cache.iterdir():
        os.utime(left, (0, 0))

    require_repaired(sample_lock, toolbox)
    packages = {each.file_name.removesuffix(".conda") for each in sample_lock.conda}
    assert {each.name for each in cache.iterdir() if each.is_dir()} == packages


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_while_pip_installs(
    installer: str, end: signal.Signals, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, installer=installer)
    sample.index.fault = "slow"
    with building(sample, sample_lock, tmp_path) as builder:
        builder.wait_for("pip: installing")
        assert eventually(lambda: bool(sample.index.requests))
        builder.end_with(end)
        assert eventually(lambda: not builder.tools), builder.tools

    sample.index.fault = None
    require_repaired(sample_lock, toolbox)


def test_while_an_unfinished_prefix_is_wiped(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    path = toolbox.store.prefix_path(sample_lock)
    # What a removal leaves that was killed after its first step.
    (path.with_name(f".removed-{path.name}") / "bin").mkdir(parents=True)

    require_repaired(sample_lock, toolbox)


@pytest.mark.parametrize("point", ["conda: linking", "Resolved", "verify:"])
def test_in_the_same_process(point: str, sample: Sample, sample_lock: Lock, tmp_path: Path) -> None:
    toolbox = sample.toolbox(tmp_path)
    main = threading.main_thread().ident or 0

    def interrupt(line: str, *_: int) -> None:
        if line.startswith(point):
            signal.pthread_kill(main, signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        ensure_prefix(sample_lock, toolbox, interrupt)
    require_repaired(sample_lock, toolbox)
