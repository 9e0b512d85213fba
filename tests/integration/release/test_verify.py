"""What was changed or lost is named, and made again from the lock."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.damage import Damage
from elt_env.environment.file_list import (
    keep_list,
    list_path,
    list_prefix,
)
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError
from elt_env.image.pack import pack
from elt_env.image.spec import Descriptor, parse_manifest
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.release.repair import mend as mend_target
from elt_env.release.repair import repair
from elt_env.release.verify import require_whole, verify
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.builder import Builder
from tests.support.images import make_root_tar
from tests.support.sample import Sample, run_in, silent

Change = Callable[[Path], None]


@pytest.fixture
def toolbox(sample: Sample, sample_lock: Lock, tmp_path: Path) -> Tools:
    """A project whose store has the lock, its prefix and its image."""
    base = str(make_root_tar(tmp_path / "root.tar"))
    toolbox = sample.toolbox(tmp_path / "project", image_base=base)
    toolbox.store.write_lock(sample_lock)
    ensure_prefix(sample_lock, toolbox, silent)
    return toolbox


def prefix_of(lock: Lock, toolbox: Tools) -> Prefix:
    return Prefix(toolbox.store.prefix_path(lock), lock)


def mend(lock: Lock, toolbox: Tools) -> tuple[Damage, ...]:
    repair(lock, verify(lock, toolbox.store, silent), toolbox, silent)
    return verify(lock, toolbox.store, silent)


def test_what_was_just_built_is_whole(sample_lock: Lock, toolbox: Tools) -> None:
    pack(sample_lock, toolbox.project, toolbox.store, silent)
    before = list_prefix(prefix_of(sample_lock, toolbox).path).files
    assert verify(sample_lock, toolbox.store, silent) == ()
    assert list_prefix(prefix_of(sample_lock, toolbox).path).files == before


def test_a_target_is_mended_once(sample_lock: Lock, toolbox: Tools) -> None:
    toolbox.store.set_current(sample_lock.target, sample_lock.digest, toolbox.store.now())
    overwrite(prefix_of(sample_lock, toolbox).site_packages / "alpha" / "__init__.py")
    (damage,) = mend_target(sample_lock.target, toolbox, silent)
    assert "alpha/__init__.py" in str(damage)
    assert mend_target(sample_lock.target, toolbox, silent) == ()


def overwrite(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.write_bytes(b"# changed\n")


def forbid(path: Path) -> None:
    path.chmod(0o600)


def make_empty(path: Path) -> None:
    path.mkdir()


def tag(path: Path) -> None:
    os.setxattr(path, "user.origin", b"elsewhere")


def turn_into_file(path: Path) -> None:
    shutil.rmtree(path)
    path.write_text("")


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
    ("left/", make_empty, "was added"),
    ("share/empty/", Path.rmdir, "is gone"),
    ("share/closed/", forbid, "has other permissions"),
    ("lib/python{0}/site-packages/alpha-1.0.dist-info/METADATA", forbid, "has other permissions"),
    ("lib/python{0}/site-packages/beta/", forbid, "has other permissions"),
]
_TAGGED = ["lib/python{0}/site-packages/beta-1.0.dist-info/METADATA", "share/", "bin/tally"]


def test_every_kind_of_damage_is_named_and_mended(
    sample: Sample, sample_lock: Lock, toolbox: Tools
) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    for name in ("empty", "closed"):
        (prefix.path / "share" / name).mkdir(parents=True)
    keep_list(prefix.path)
    before = list_prefix(prefix.path).files
    directories = list_prefix(prefix.path).directories
    expected = []
    for pattern, change, fault in _FILES:
        where = next(prefix.path.glob(pattern.format(sample.python)), prefix.path / pattern)
        change(where)
        path = where.relative_to(prefix.path).as_posix()
        expected.append(("prefix", path + "/" * pattern.endswith("/"), fault))
    for pattern in _TAGGED:
        path = pattern.format(sample.python)
        tag(prefix.path / path)
        if path != "bin/tally":  # it was replaced as well, which is told
            expected.append(("prefix", path, "has other extended attributes"))

    found = verify(sample_lock, toolbox.store, silent)
    assert sorted((each.part, each.path, each.fault) for each in found) == sorted(expected)
    with pytest.raises(IntegrityError, match="bin/tally was changed") as raised:
        require_whole(sample_lock, found)
    assert "--repair" in raised.value.remedy

    assert mend(sample_lock, toolbox) == ()
    assert list_prefix(prefix.path).directories == directories
    assert list_prefix(prefix.path).attributes == {}
    assert list_prefix(prefix.path).files.keys() == before.keys()
    after = list_prefix(prefix.path).files
    notes = {each for each in after if each.endswith("/RECORD") or each.startswith("conda-meta/")}
    assert {each for each in after if after[each] != before[each]} <= notes
    assert run_in(prefix.path, "alpha").returncode == 0
    assert run_in(prefix.path, "tally").returncode == 0


def test_bytecode_that_was_lost_is_compiled_again(sample_lock: Lock, toolbox: Tools) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    before = list_prefix(prefix.path).files
    lost = next(each for each in sorted(before) if "alpha" in each and each.endswith(".pyc"))
    (prefix.path / lost).unlink()
    assert [each.path for each in verify(sample_lock, toolbox.store, silent)] == [lost]
    assert mend(sample_lock, toolbox) == ()
    assert list_prefix(prefix.path).files == before


def test_an_edit_in_place_reaches_the_cache_and_is_mended_there_too(
    sample_lock: Lock, toolbox: Tools
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
    sample_lock: Lock, toolbox: Tools
) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    list_path(prefix.path).unlink()
    overwrite(prefix.path / "bin" / "tally")
    found = verify(sample_lock, toolbox.store, silent)
    assert [str(each) for each in found] == [f"prefix: {list_path(prefix.path).name} is gone"]
    assert mend(sample_lock, toolbox) == ()
    assert run_in(prefix.path, "tally").returncode == 0


def test_the_files_of_a_lock_are_written_again(sample_lock: Lock, toolbox: Tools) -> None:
    directory = Path(toolbox.store.lock_directory(sample_lock.digest))
    (directory / "conda-linux-64.lock").write_text("# nothing\n")
    (directory / "pylock.toml").unlink()
    found = verify(sample_lock, toolbox.store, silent)
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
    toolbox: Tools,
) -> None:
    image = pack(sample_lock, toolbox.project, toolbox.store, silent).image
    layout = ImageStore(toolbox.store).layout
    changed = layout.blob_path(image.layers[-2].blob.digest)
    right, times = changed.read_bytes(), changed.stat()
    with changed.open("r+b") as file:
        file.seek(20)
        file.write(b"\0\0\0\0")
    if keep_time:
        os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    layout.blob_path(image.manifest.digest).unlink()

    found = verify(sample_lock, toolbox.store, silent)
    assert {(each.path, each.fault) for each in found} == {
        (image.layers[-2].blob.digest, "was changed"),
        (image.manifest.digest, "is gone"),
    }
    assert mend(sample_lock, toolbox) == ()
    assert changed.read_bytes() == right


def sbom_of(lock: Lock, images: ImageStore) -> Descriptor:
    """Return the manifest of an image's SBOM."""
    found = images.layout.find(f"elt-{lock.target.python}.sbom")
    assert found is not None
    return found


def mislead(index: Path) -> None:
    """Let a name lead to another image that is whole."""
    content = json.loads(index.read_text())
    first, *others = content["manifests"]
    for each in others:
        each.update({key: first[key] for key in ("digest", "size", "mediaType")})
    index.write_text(json.dumps(content))


def lose_names(index: Path) -> None:
    index.write_text(json.dumps({"schemaVersion": 2, "manifests": []}))


_LAYOUT: list[tuple[str, Change, str]] = [
    ("oci/index.json", mislead, "was changed"),
    ("oci/index.json", lose_names, "was changed"),
    ("oci/index.json", overwrite, "was changed"),
    ("oci/index.json", Path.unlink, "is gone"),
    ("oci/index.json", forbid, "has other permissions"),
    ("oci/oci-layout", overwrite, "was changed"),
    ("oci/oci-layout", Path.unlink, "is gone"),
    ("oci/blobs/md5", make_empty, "was added"),
    ("oci/left", overwrite, "was added"),
    ("images/{lock}.json", overwrite, "was changed"),
    ("images/{lock}.cdx.json", overwrite, "was changed"),
    ("images/{lock}.cdx.json", Path.unlink, "is gone"),
    ("oci/blobs/sha256/{config}", overwrite, "was changed"),
    ("oci/blobs/sha256/{config}", forbid, "has other permissions"),
    ("oci/blobs/sha256/{sbom}", overwrite, "was changed"),
    ("oci/blobs/sha256/{sbom_text}", Path.unlink, "is gone"),
]


def test_every_file_of_an_image_is_named_and_mended(sample_lock: Lock, toolbox: Tools) -> None:
    image = pack(sample_lock, toolbox.project, toolbox.store, silent).image
    home = toolbox.store.local_home
    images = ImageStore(Store(home))
    artifact = sbom_of(sample_lock, images)
    parts = {
        "config": parse_manifest(images.layout.read(image.manifest)).config.digest,
        "sbom": artifact.digest,
        "sbom_text": parse_manifest(images.layout.read(artifact)).layers[0].digest,
        "lock": sample_lock.digest,
    }
    names = {key: each.removeprefix("sha256:") for key, each in parts.items()}
    assert verify(sample_lock, toolbox.store, silent) == ()
    before = list_prefix(home / "oci").files
    for pattern, change, fault in _LAYOUT:
        path = home / pattern.format(**names)
        right = path.read_bytes() if path.is_file() else None
        change(path)
        found = verify(sample_lock, toolbox.store, silent)
        assert {each.part for each in found} == {"image"}, (pattern, found)
        assert fault in {each.fault for each in found if each.path.endswith(path.name)}, found
        assert mend(sample_lock, toolbox) == (), pattern
        assert list_prefix(home / "oci").files == before, pattern
        if path.suffixes != [".json"] or path.name == "index.json":  # the record has its time
            assert (path.read_bytes() if path.is_file() else None) == right, pattern


@pytest.mark.parametrize("moment", ["once more", "conda: linked", "repair: lib"])
def test_killed_while_it_mends_what_works_works_and_the_next_one_completes(
    moment: str, sample_lock: Lock, toolbox: Tools, tmp_path: Path
) -> None:
    prefix = prefix_of(sample_lock, toolbox)
    overwrite(prefix.path / "bin" / "tally")
    (prefix.site_packages / "tally" / "__init__.py").unlink()
    directory = Path(toolbox.store.lock_directory(sample_lock.digest))
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
