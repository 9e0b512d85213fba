"""What was changed or lost is named, and made again from the lock."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.errors import IntegrityError
from elt_env.model.damage import Damage
from elt_env.model.lock import Lock
from elt_env.stages.build import ensure_prefix
from elt_env.stages.pack import pack
from elt_env.stages.repair import mend as mend_target
from elt_env.stages.repair import repair
from elt_env.stages.verify import require_whole, verify
from elt_env.tools.file_list import list_files, list_path
from elt_env.tools.image_store import ImageStore
from elt_env.tools.prefix import Prefix
from elt_env.tools.toolbox import Toolbox
from tests.support.builder import Builder
from tests.support.images import make_root_tar
from tests.support.sample import Sample, run_in, silent

Change = Callable[[Path], None]


@pytest.fixture
def toolbox(sample: Sample, sample_lock: Lock, tmp_path: Path) -> Toolbox:
    """A project whose store has the lock, its prefix and its image."""
    base = str(make_root_tar(tmp_path / "root.tar"))
    toolbox = sample.toolbox(tmp_path / "project", image_base=base)
    toolbox.store.write_lock(sample_lock)
    ensure_prefix(sample_lock, toolbox, silent)
    return toolbox


def prefix_of(lock: Lock, toolbox: Toolbox) -> Prefix:
    return Prefix(toolbox.store.prefix_path(lock), lock)


def mend(lock: Lock, toolbox: Toolbox) -> tuple[Damage, ...]:
    repair(lock, verify(lock, toolbox, silent), toolbox, silent)
    return verify(lock, toolbox, silent)


def test_what_was_just_built_is_whole(sample_lock: Lock, toolbox: Toolbox) -> None:
    pack(sample_lock, toolbox, silent)
    before = list_files(prefix_of(sample_lock, toolbox).path)
    assert verify(sample_lock, toolbox, silent) == ()
    assert list_files(prefix_of(sample_lock, toolbox).path) == before


def test_a_target_is_mended_once(sample_lock: Lock, toolbox: Toolbox) -> None:
    toolbox.store.set_current(sample_lock.target, sample_lock.digest, toolbox.now())
    overwrite(prefix_of(sample_lock, toolbox).site_packages / "alpha" / "__init__.py")
    (damage,) = mend_target(sample_lock.target, toolbox, silent)
    assert "alpha/__init__.py" in str(damage)
    assert mend_target(sample_lock.target, toolbox, silent) == ()


def overwrite(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(b"# changed\n")


def forbid(path: Path) -> None:
    path.chmod(0o600)


_FILES: list[tuple[str, Change, str]] = [
    ("lib/python{0}/site-packages/alpha/__init__.py", overwrite, "was changed"),
    ("lib/python{0}/site-packages/alpha-1.0.dist-info/RECORD", overwrite, "was changed"),
    ("lib/python{0}/site-packages/tally/__init__.py", Path.unlink, "is gone"),
    ("lib/python{0}/os.py", overwrite, "was changed"),
    ("bin/alpha", forbid, "has other permissions"),
    ("bin/tally", overwrite, "was changed"),
    ("conda-meta/tally-*.json", overwrite, "was changed"),
    ("bin/python", Path.unlink, "is gone"),
    ("left-here", overwrite, "was added"),
]


def test_every_kind_of_damage_is_named_and_mended(
    sample: Sample, sample_lock: Lock, toolbox: Toolbox
) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    before = list_files(prefix.path)
    expected = []
    for pattern, change, fault in _FILES:
        where = next(prefix.path.glob(pattern.format(sample.python)), prefix.path / pattern)
        change(where)
        path = where.relative_to(prefix.path).as_posix()
        expected.append(("prefix", path, fault))

    found = verify(sample_lock, toolbox, silent)
    assert sorted((each.part, each.path, each.fault) for each in found) == sorted(expected)
    with pytest.raises(IntegrityError, match="bin/tally was changed") as raised:
        require_whole(sample_lock, found)
    assert "--repair" in raised.value.remedy

    assert mend(sample_lock, toolbox) == ()
    assert list_files(prefix.path).keys() == before.keys()
    after = list_files(prefix.path)
    notes = {each for each in after if each.endswith("/RECORD") or each.startswith("conda-meta/")}
    assert {each for each in after if after[each] != before[each]} <= notes
    assert run_in(prefix.path, "alpha").returncode == 0
    assert run_in(prefix.path, "tally").returncode == 0


def test_bytecode_that_was_lost_is_compiled_again(sample_lock: Lock, toolbox: Toolbox) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    before = list_files(prefix.path)
    lost = next(each for each in sorted(before) if "alpha" in each and each.endswith(".pyc"))
    (prefix.path / lost).unlink()
    assert [each.path for each in verify(sample_lock, toolbox, silent)] == [lost]
    assert mend(sample_lock, toolbox) == ()
    assert list_files(prefix.path) == before


def test_an_edit_in_place_reaches_the_cache_and_is_mended_there_too(
    sample_lock: Lock, toolbox: Toolbox
) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    module = prefix.site_packages / "alpha" / "__init__.py"
    right = module.read_bytes()
    assert module.stat().st_nlink > 1, "no link into the cache, so this shows nothing"
    with module.open("r+b") as file:
        file.write(b"#!")

    assert mend(sample_lock, toolbox) == ()
    assert module.read_bytes() == right
    shutil.rmtree(prefix.path)
    ensure_prefix(sample_lock, toolbox, silent)
    assert module.read_bytes() == right


def test_a_prefix_whose_list_is_gone_is_compared_with_another_build(
    sample_lock: Lock, toolbox: Toolbox
) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    list_path(prefix.path).unlink()
    overwrite(prefix.path / "bin" / "tally")
    found = verify(sample_lock, toolbox, silent)
    assert [str(each) for each in found] == [f"prefix: {list_path(prefix.path).name} is gone"]
    assert mend(sample_lock, toolbox) == ()
    assert run_in(prefix.path, "tally").returncode == 0


def test_the_files_of_a_lock_are_written_again(sample_lock: Lock, toolbox: Toolbox) -> None:
    directory = toolbox.store.lock_directory(sample_lock.digest)
    (directory / "conda-linux-64.lock").write_text("# nothing\n")
    (directory / "pylock.toml").unlink()
    found = verify(sample_lock, toolbox, silent)
    assert [str(each) for each in found] == [
        "lock: conda-linux-64.lock was changed",
        "lock: pylock.toml is gone",
    ]
    assert mend(sample_lock, toolbox) == ()
    assert toolbox.store.read_lock(sample_lock.digest, sample_lock.target) == sample_lock


@pytest.mark.parametrize("keep_time", [True, False])
def test_a_layer_that_was_changed_is_packed_again(
    keep_time: bool,  # noqa: FBT001  # pytest passes it
    sample_lock: Lock,
    toolbox: Toolbox,
) -> None:
    image = pack(sample_lock, toolbox, silent).image
    layout = ImageStore(toolbox.store.home).layout
    changed = layout.blob_path(image.layers[-2].blob.digest)
    right, times = changed.read_bytes(), changed.stat()
    with changed.open("r+b") as file:
        file.seek(20)
        file.write(b"\0\0\0\0")
    if keep_time:
        os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    layout.blob_path(image.manifest.digest).unlink()

    found = verify(sample_lock, toolbox, silent)
    assert {(each.path, each.fault) for each in found} == {
        (image.layers[-2].blob.digest, "was changed"),
        (image.manifest.digest, "is gone"),
    }
    assert mend(sample_lock, toolbox) == ()
    assert changed.read_bytes() == right


@pytest.mark.parametrize("moment", ["once more", "conda: linked", "repair: lib"])
def test_killed_while_it_mends_what_works_works_and_the_next_one_completes(
    moment: str, sample_lock: Lock, toolbox: Toolbox, tmp_path: Path
) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    overwrite(prefix.path / "bin" / "tally")
    (prefix.site_packages / "tally" / "__init__.py").unlink()
    directory = toolbox.store.lock_directory(sample_lock.digest)
    builder = Builder(toolbox.project.root, directory, tmp_path / "place", moment, "repair")
    try:
        builder.wait_until_halted()
        assert run_in(prefix.path, "alpha").returncode == 0
        builder.end_with(signal.SIGKILL)
    finally:
        builder.close()
    assert run_in(prefix.path, "alpha").returncode == 0
    assert prefix.ready
    assert mend(sample_lock, toolbox) == ()
    assert run_in(prefix.path, "tally").returncode == 0
