"""An image of a prefix: the same everywhere, made of what changed, and never half there."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import signal
import threading
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.file_list import list_path
from elt_env.environment.prefix import Prefix
from elt_env.errors import IntegrityError, StorageError, ToolError
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout
from elt_env.image.pack import PackedImage, pack
from elt_env.image.store import ImageStore
from elt_env.lockfile.document import Lock
from elt_env.tools import Tools
from tests.support.builder import Builder
from tests.support.images import blobs, content_of, entries, make_root_tar
from tests.support.sample import Sample, silent
from tests.support.wheels import make_wheel


@pytest.fixture
def base(tmp_path: Path) -> str:
    return str(make_root_tar(tmp_path / "root.tar"))


def packed(sample: Sample, lock: Lock, root: Path, base: str, **policy: object) -> PackedImage:
    toolbox = sample.toolbox(root, image_base=base, **policy)
    ensure_prefix(lock, toolbox, silent)
    return pack(lock, toolbox.project, toolbox.store, silent)


def layout_of(packed_image: PackedImage) -> Layout:
    return Layout(packed_image.path)


def test_an_image_is_the_same_wherever_it_is_packed(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    far = tmp_path / ("long " * 20) / "of a path"
    one = packed(sample, sample_lock, tmp_path / "one", base)
    two = packed(sample, sample_lock, far, base)

    mine, other = content_of(layout_of(one), one.image), content_of(layout_of(two), two.image)
    assert sorted(mine) == sorted(other)
    assert [(mine[name], other[name]) for name in mine if mine[name] != other[name]] == []
    assert two.image.digest == one.image.digest
    assert two.sbom == one.sbom


def test_nothing_of_this_machine_is_in_it(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    image = packed(sample, sample_lock, tmp_path / "here", base)
    files = content_of(layout_of(image), image.image)

    assert [name for name, data in files.items() if str(tmp_path).encode() in data] == []
    for script in ("alpha", "tally"):
        assert files[f"opt/elt/bin/{script}"].startswith(b"#!/opt/elt/bin/python")
    for name, data in files.items():
        if name.startswith("opt/elt/conda-meta/") and name.endswith(".json"):
            assert sample.channel.url.encode() not in data


def test_the_lists_of_the_package_managers_fit_what_is_in_it(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    image = packed(sample, sample_lock, tmp_path / "here", base)
    files = content_of(layout_of(image), image.image)
    site = f"opt/elt/lib/python{sample.python}/site-packages"

    rows = csv.reader(files[f"{site}/alpha-1.0.dist-info/RECORD"].decode().splitlines())
    recorded = {row[0]: row[1] for row in rows}
    data = files["opt/elt/bin/alpha"]
    digest = urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    assert recorded["../../../bin/alpha"] == f"sha256={digest}"

    records = [json.loads(data) for name, data in files.items() if "/conda-meta/tally" in name]
    entry = next(each for each in records[0]["paths_data"]["paths"] if each["_path"] == "bin/tally")
    assert entry["sha256_in_prefix"] == hashlib.sha256(files["opt/elt/bin/tally"]).hexdigest()


def test_a_second_packing_writes_nothing(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    first = packed(sample, sample_lock, tmp_path / "here", base)
    before = {each: each.stat().st_ino for each in blobs(layout_of(first))}

    second = packed(sample, sample_lock, tmp_path / "here", base)

    assert second.kept
    assert not first.kept
    assert second.image.digest == first.image.digest
    assert second.image.at == first.image.at
    assert {each: each.stat().st_ino for each in blobs(layout_of(second))} == before
    assert len(second.image.reused) == len(second.image.layers)


def test_a_changed_package_takes_only_its_own_layer_with_it(
    sample: Sample, tmp_path: Path, base: str
) -> None:
    sample.offer_pip("dagster")
    one = packed(sample, sample.lock(conda=["tally"], pip=["alpha", "dagster"]), tmp_path, base)
    sample.index.add(_newer_dagster(sample))
    newer = sample.lock(conda=["tally"], pip=["alpha", "dagster==1.1"])

    two = packed(sample, newer, tmp_path, base)

    had = {each.blob.digest for each in one.image.layers}
    assert [each.holds for each in two.image.layers if each.blob.digest not in had] == [
        "pip: dagster"
    ]
    assert two.image.digest != one.image.digest


def _newer_dagster(sample: Sample) -> Path:
    return make_wheel(sample.root / "wheels", "dagster", "1.1")


def test_a_layer_that_was_corrupted_is_made_again(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    first = packed(sample, sample_lock, tmp_path / "here", base)
    layout = layout_of(first)
    for layer in first.image.layers:
        path = layout.blob_path(layer.blob.digest)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)

    second = packed(sample, sample_lock, tmp_path / "here", base)

    assert second.image.digest == first.image.digest
    assert all(layout.intact(each.blob) for each in second.image.layers)


def test_a_layer_that_is_gone_is_made_again(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    first = packed(sample, sample_lock, tmp_path / "here", base)
    layout = layout_of(first)
    gone = first.image.layers[-2]
    layout.blob_path(gone.blob.digest).unlink()

    second = packed(sample, sample_lock, tmp_path / "here", base)

    assert second.image.digest == first.image.digest
    assert gone.blob.digest not in second.image.reused


def test_files_of_every_kind_arrive(sample: Sample, tmp_path: Path, base: str) -> None:
    odd: dict[str, str | bytes] = {
        "odd/__init__.py": "",
        "odd/with space and ümlaut.txt": "odd",
        "odd/" + "deep/" * 40 + "name": "deep",
        "odd/empty": "",
        "odd/large": b"\0" * 5_000_000,
    }
    sample.offer_pip("odd", odd)
    image = packed(sample, sample.lock(pip=["odd"]), tmp_path / "here", base)
    files = content_of(layout_of(image), image.image)
    site = f"opt/elt/lib/python{sample.python}/site-packages"

    for name, wanted in odd.items():
        data = wanted.encode() if isinstance(wanted, str) else wanted
        assert files[f"{site}/{name}"] == data
    modes = {
        info.mode
        for layer in image.image.layers[1:]
        for info, _ in entries(layout_of(image), layer).values()
        if info.isreg()
    }
    assert modes == {0o644, 0o755}


def test_what_a_tool_left_in_the_prefix_stays_out(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    clean = packed(sample, sample_lock, tmp_path / "one", base)
    toolbox = sample.toolbox(tmp_path / "two", image_base=base)
    built = ensure_prefix(sample_lock, toolbox, silent)
    (built.path / "bin/left-behind").write_text("#!/bin/sh\n")
    site = built.path / f"lib/python{sample.python}/site-packages"
    (site / "alpha/__pycache__").mkdir(exist_ok=True)
    (site / "alpha/__pycache__/gone.cpython-311.pyc").write_bytes(b"")

    assert (
        pack(sample_lock, toolbox.project, toolbox.store, silent).image.digest == clean.image.digest
    )


def test_links_in_a_file_system_are_files_in_an_image(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    image = packed(sample, sample_lock, tmp_path / "here", base)
    found = {
        name: info
        for layer in image.image.layers
        for name, (info, _) in entries(layout_of(image), layer).items()
    }
    assert not any(each.islnk() for each in found.values())
    assert found["opt/elt/bin/python"].issym()


def test_the_date_and_the_place_are_asked_for(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    image = packed(sample, sample_lock, tmp_path / "here", base, image_path="/srv/e")
    layout = layout_of(image)
    config = oci.parse_config(
        layout.read(oci.parse_manifest(layout.read(image.image.manifest)).config)
    )

    assert config.created == "2023-11-14T22:13:20Z"
    assert config.labels["elt-env.lock.digest"] == sample_lock.digest
    assert config.labels["elt-env.target"] == str(sample_lock.target)
    assert config.user == "1000:1000"
    assert "PATH=/srv/e/bin:" in " ".join(config.env)
    assert config.diff_ids == tuple(each.diff_id for each in image.image.layers)
    assert "srv/e/bin/alpha" in content_of(layout, image.image)


def test_without_a_prefix_there_is_nothing_to_pack(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    with pytest.raises(ToolError, match="not built") as caught:
        pack(
            sample_lock,
            sample.toolbox(tmp_path, image_base=base).project,
            sample.toolbox(tmp_path, image_base=base).store,
            silent,
        )
    assert "elt-env build" in caught.value.remedy


def test_a_file_that_is_gone_is_named_and_nothing_is_left(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    toolbox = sample.toolbox(tmp_path, image_base=base)
    ensure_prefix(sample_lock, toolbox, silent)
    prefix = Prefix(toolbox.store.prefix_path(sample_lock), sample_lock)
    (prefix.site_packages / "alpha/__init__.py").unlink()

    with pytest.raises(IntegrityError, match="alpha"):
        pack(sample_lock, toolbox.project, toolbox.store, silent)
    assert_nothing_is_named(toolbox)


def _edit_in_place(path: Path) -> None:
    with path.open("r+b") as file:
        last = file.seek(-1, 2)
        byte = file.read(1)
        file.seek(last)
        file.write(bytes([byte[0] ^ 1]))


def _replace(path: Path) -> None:
    path.unlink()
    path.write_bytes(b"# replaced")


def _lead_elsewhere(path: Path) -> None:
    path.unlink()
    path.symlink_to("alpha")


def _make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("name", "change", "fault"),
    [
        ("{site}/alpha/__init__.py", _edit_in_place, "not what it was"),
        ("{site}/alpha/__init__.py", _replace, "not what it was"),
        ("{site}/alpha/__init__.py", _make_directory, "is gone"),
        ("{site}/alpha-1.0.dist-info/RECORD", _edit_in_place, "not what it was"),
        ("{site}/alpha/__pycache__/__init__.{tag}.pyc", _edit_in_place, "not what it was"),
        ("bin/alpha", _replace, "not what it was"),
        ("bin/python3", _lead_elsewhere, "not what it was"),
        ("bin/python3", _replace, "not what it was"),
    ],
)
def test_what_was_changed_since_it_was_sealed_gets_into_no_image(  # noqa: PLR0917
    name: str,
    change: Callable[[Path], None],
    fault: str,
    sample: Sample,
    sample_lock: Lock,
    tmp_path: Path,
    base: str,
) -> None:
    toolbox = sample.toolbox(tmp_path, image_base=base)
    ensure_prefix(sample_lock, toolbox, silent)
    prefix = Prefix(toolbox.store.prefix_path(sample_lock), sample_lock)
    site = prefix.site_packages.relative_to(prefix.path)
    path = prefix.path / name.format(site=site, tag=prefix.bytecode_tag)
    assert path.is_file()
    change(path)

    with pytest.raises(IntegrityError, match=fault) as caught:
        pack(sample_lock, toolbox.project, toolbox.store, silent)
    assert str(path) in caught.value.problem
    assert_nothing_is_named(toolbox)


@pytest.mark.parametrize("change", [Path.unlink, _replace])
def test_bytecode_that_is_gone_or_that_python_wrote_anew_is_no_damage(
    change: Callable[[Path], None], sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    toolbox = sample.toolbox(tmp_path, image_base=base)
    ensure_prefix(sample_lock, toolbox, silent)
    prefix = Prefix(toolbox.store.prefix_path(sample_lock), sample_lock)
    change(prefix.site_packages / f"alpha/__pycache__/__init__.{prefix.bytecode_tag}.pyc")

    assert pack(sample_lock, toolbox.project, toolbox.store, silent).image.layers


def test_what_looks_changed_and_is_not_is_packed(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    wanted = packed(sample, sample_lock, tmp_path / "one", base).image.digest
    toolbox = sample.toolbox(tmp_path / "two", image_base=base)
    prefix = ensure_prefix(sample_lock, toolbox, silent).path
    for path in (prefix / "lib").rglob("alpha/*.py"):
        os.utime(path)

    assert pack(sample_lock, toolbox.project, toolbox.store, silent).image.digest == wanted


def test_a_prefix_with_another_list_of_files_is_looked_at_again(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    first = packed(sample, sample_lock, tmp_path, base)
    toolbox = sample.toolbox(tmp_path, image_base=base)
    listed = list_path(toolbox.store.prefix_path(sample_lock))
    remembered = ImageStore(toolbox.store).record_files(sample_lock.digest)[2]
    before = remembered.read_bytes()
    listed.write_text(f"{listed.read_text()} ")

    again = pack(sample_lock, toolbox.project, toolbox.store, silent)
    assert again.kept
    assert again.image.digest == first.image.digest
    after = remembered.read_bytes()
    assert after != before
    remembered.write_text("{}")
    assert pack(sample_lock, toolbox.project, toolbox.store, silent).kept
    assert remembered.read_bytes() == after


def assert_nothing_is_named(toolbox: Tools) -> None:
    images = ImageStore(toolbox.store)
    assert images.layout.images() == ()
    assert not [each for each in blobs(images.layout) if each.name.startswith(".new-")]


@pytest.mark.parametrize("no_space", ["60m"], indirect=True)
def test_a_full_disk_leaves_no_half_image_and_the_next_call_completes(
    no_space: Path, sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    toolbox = sample.toolbox(tmp_path, image_base=base)
    prefix = ensure_prefix(sample_lock, toolbox, silent).path
    wanted = pack(sample_lock, toolbox.project, toolbox.store, silent).image.digest
    small = sample.toolbox(tmp_path / "small", image_base=base)
    (tmp_path / "small/.elt_env/prefixes").mkdir(parents=True)
    home = no_space / "home"
    home.mkdir()
    for name in ("oci", "images", "layers", "bases"):
        (home / name).mkdir()
        (small.store.local_home / name).symlink_to(home / name)
    place = small.store.prefix_path(sample_lock)
    place.symlink_to(prefix)
    filler = no_space / "filler"
    with filler.open("wb") as file:
        file.truncate(0)
        while True:
            try:
                file.write(b"x" * 65536)
                file.flush()
            except OSError:
                break

    with pytest.raises(StorageError, match="No space left"):
        pack(sample_lock, small.project, small.store, silent)
    assert_nothing_is_named(small)

    filler.unlink()
    assert pack(sample_lock, small.project, small.store, silent).image.digest == wanted


@pytest.mark.parametrize(
    "point", ["image: on", "image: 0 of", "layer conda: python", "layer pip: the rest"]
)
def test_killed_at_any_point_no_half_image_is_seen_and_the_next_call_completes(
    point: str, sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    toolbox = sample.toolbox(tmp_path / "here", image_base=base)
    ensure_prefix(sample_lock, toolbox, silent)
    directory = sample.directory(sample_lock)
    builder = Builder(tmp_path / "here", directory, tmp_path / "scratch", point, "pack")
    try:
        builder.wait_until_halted()
        builder.end_with(signal.SIGKILL)
    finally:
        builder.close()
    images = ImageStore(toolbox.store)
    assert images.layout.images() == ()
    assert images.image(sample_lock.digest) is None

    whole = packed(sample, sample_lock, tmp_path / "other", base).image.digest
    assert pack(sample_lock, toolbox.project, toolbox.store, silent).image.digest == whole
    assert all(images.layout.intact(each) for each in images.layout.images())


def test_interrupted_it_leaves_no_thread_at_work(
    sample: Sample, sample_lock: Lock, tmp_path: Path, base: str
) -> None:
    toolbox = sample.toolbox(tmp_path, image_base=base)
    ensure_prefix(sample_lock, toolbox, silent)

    def interrupt(line: str, *_: int) -> None:
        if line.startswith("layer "):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pack(sample_lock, toolbox.project, toolbox.store, interrupt)
    assert not [each for each in threading.enumerate() if "ThreadPool" in each.name]
    assert_nothing_is_named(toolbox)
