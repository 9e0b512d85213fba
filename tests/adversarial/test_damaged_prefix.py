"""Nothing becomes the release whose prefix is not what it was when it was sealed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.environment.build import changed_since_sealed, ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.lockfile.document import Lock
from elt_env.release.promote import promote
from elt_env.release.repair import repair
from elt_env.release.roll_back import roll_back
from elt_env.release.store import ReleaseStore
from elt_env.release.verify import verify
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import keep_current, prepare, pretend_proven, toolbox_at
from tests.support.sample import Sample, run_in, silent

_A, _B = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _A.target


def edit(path: Path) -> None:
    path.write_text(path.read_text() + "# more\n")


def edit_in_place(path: Path) -> None:
    """Change a byte, so that the size stays."""
    with path.open("r+b") as file:
        file.seek(3)
        file.write(b"?")


def exchange(path: Path) -> None:
    """Put another file there that has the size and the time of the first."""
    times, new = path.stat(), path.with_name("new")
    new.write_bytes(path.read_bytes()[::-1])
    new.chmod(0o755)
    os.utime(new, ns=(times.st_atime_ns, times.st_mtime_ns))
    new.replace(path)


def forbid(path: Path) -> None:
    path.chmod(0o644)


def link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/bin/true")


def add(path: Path) -> None:
    path.with_name("another").write_text("")


_CHANGES: list[Callable[[Path], None]] = [
    Path.unlink,
    edit,
    edit_in_place,
    exchange,
    forbid,
    link,
    add,
]


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    """A project whose store has two releases of locks that count as built and proven."""
    toolbox = toolbox_at(tmp_path)
    for lock in (_A, _B):
        prepare(lock, toolbox)
        promote(_TARGET, toolbox, silent, trigger="", by="a test")
    return toolbox


def released(toolbox: Tools) -> tuple[str, int]:
    release = ReleaseStore(toolbox.store).current(_TARGET.name)
    assert release is not None
    return release.digest, release.number


@pytest.mark.parametrize("change", _CHANGES, ids=lambda each: each.__name__)
def test_no_damage_passes_the_move_of_a_release(
    change: Callable[[Path], None], toolbox: Tools
) -> None:
    change(toolbox.store.prefix_path(_A) / "bin" / "tool")
    before = released(toolbox)
    keep_current(_A, toolbox)
    for lock in (_A, _B):  # what would become the release, and what is it already
        change(toolbox.store.prefix_path(_B) / "bin" / "tool") if lock is _B else None
        keep_current(lock, toolbox)
        with pytest.raises(IntegrityError, match="not what it was when it was built") as raised:
            promote(_TARGET, toolbox, silent, trigger="", by="a test")
        assert raised.value.remedy == "Mend it: elt-env verify elt@3.11 --repair"
    assert released(toolbox) == before


def test_what_a_check_changes_while_the_registry_is_asked_is_seen(
    toolbox: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The comparison is the last thing before the move."""
    keep_current(_A, toolbox)
    prepared = ReleaseStore.prepare

    def prepare_and_break(*arguments: object) -> None:
        prepared(*arguments)  # type: ignore[arg-type]
        edit(toolbox.store.prefix_path(_A) / "bin" / "tool")

    monkeypatch.setattr(ReleaseStore, "prepare", prepare_and_break)
    before = released(toolbox)
    with pytest.raises(IntegrityError, match="bin/tool was changed"):
        promote(_TARGET, toolbox, silent, trigger="", by="a test")
    assert released(toolbox) == before


def test_what_only_looks_other_is_read_and_passes(toolbox: Tools) -> None:
    """A store that was restored from a backup has other inodes and times."""
    tool = toolbox.store.prefix_path(_B) / "bin" / "tool"
    shutil.copy(tool, tool.with_name("new"))
    tool.with_name("new").replace(tool)
    os.utime(tool, ns=(0, 0))
    assert promote(_TARGET, toolbox, silent, trigger="", by="a test").kept


def test_a_damaged_prefix_is_mended_before_a_roll_back(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path / "project")
    keep_current(sample_lock, toolbox)
    ensure_prefix(sample_lock, toolbox, silent)
    pretend_proven(sample_lock, toolbox)
    target = sample_lock.target
    promote(target, toolbox, silent, trigger="", by="a test")
    prefix = Prefix(toolbox.store.prefix_path(sample_lock), sample_lock)

    shutil.rmtree(prefix.library / "json")
    with pytest.raises(IntegrityError, match="json/"):
        promote(target, toolbox, silent, trigger="", by="a test")
    repair(sample_lock, verify(sample_lock, toolbox.store, silent), toolbox, silent)
    assert changed_since_sealed(prefix) == ()

    (prefix.site_packages / "alpha" / "__init__.py").unlink()
    roll_back(target, toolbox, silent, to=sample_lock.digest, trigger="", by="a test")
    assert changed_since_sealed(prefix) == ()
    assert run_in(prefix.path, "alpha").returncode == 0
