from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from elt_env.errors import IntegrityError
from elt_env.image.oci.layer import Compression, write_layer, write_tar
from elt_env.image.oci.layout import Layout
from elt_env.image.oci.unpack import ensure_root
from elt_env.machine.process import unheard
from tests.support.layouts import (
    Entry,
    a_device,
    a_directory,
    a_file,
    a_hard_link,
    a_symlink,
    add_image,
    add_layer,
    image_of,
)
from tests.support.said import Said


def unpacked(place: Path, *layers: Iterable[Entry]) -> Path:
    layout, manifest = image_of(place / "oci", *layers)
    return ensure_root(layout, manifest, place / "roots", unheard)


def names(root: Path) -> set[str]:
    return {each.relative_to(root).as_posix() for each in root.rglob("*")}


@pytest.mark.parametrize("compression", ["zstd", "gzip"])
def test_a_layer_is_unpacked_as_it_was_written(tmp_path: Path, compression: Compression) -> None:
    layout = Layout(tmp_path / "oci")
    long = "d" * 120 + "/" + "f" * 120

    def fill(layer: Any) -> None:
        layer.file("opt/elt/bin/tool", b"#!/bin/sh\n", 0o755)
        layer.file(f"opt/{long}", b"x" * 3_000_000)
        layer.file("opt/sp ace\nü", b"odd")
        layer.symlink("opt/link", "../" * 60 + "etc/passwd")
        layer.directory("tmp", 0o1777)

    made = write_layer(layout, compression, "all", fill)
    root = ensure_root(layout, add_image(layout, [made]), tmp_path / "roots", unheard)

    assert (root / "opt/elt/bin/tool").read_bytes() == b"#!/bin/sh\n"
    assert stat.S_IMODE((root / "opt/elt/bin/tool").stat().st_mode) == 0o755
    assert (root / "opt" / long).stat().st_size == 3_000_000
    assert (root / "opt/sp ace\nü").read_bytes() == b"odd"
    assert (root / "opt/link").readlink() == Path("../" * 60 + "etc/passwd")
    assert (root / "opt").stat().st_mtime == (root / "opt/elt/bin/tool").stat().st_mtime
    if os.geteuid() == 0:
        assert stat.S_IMODE((root / "tmp").stat().st_mode) == 0o1777


def test_what_is_there_is_not_unpacked_again(tmp_path: Path) -> None:
    layout, manifest = image_of(tmp_path / "oci", [a_file("a")])
    said = Said()
    root = ensure_root(layout, manifest, tmp_path / "roots", said)
    (root / "mine").touch()
    assert ensure_root(layout, manifest, tmp_path / "roots", said) == root
    assert (root / "mine").exists()
    assert len(said) == 1


def test_hard_links_share_their_file_also_across_layers(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        [a_file("bin/one", b"1"), a_hard_link("two", "bin/one")],
        [a_hard_link("./bin/three", "./two")],
    )
    assert (root / "bin/three").samefile(root / "bin/one")


def test_upper_layers_replace_whatever_lower_ones_have(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        [
            a_file("dir/below"),
            a_file("file"),
            a_symlink("link", "dir"),
            a_file("kept/file", b"old"),
        ],
        [a_file("dir", b"now a file"), a_directory("file"), a_file("file/in"), a_directory("link")],
        [a_directory("kept", 0o711), a_file("kept/file", b"new")],
    )
    assert names(root) == {"dir", "file", "file/in", "link", "kept", "kept/file"}
    assert (root / "dir").read_bytes() == b"now a file"
    assert not (root / "link").is_symlink()
    assert (root / "kept/file").read_bytes() == b"new"


def test_whiteouts_hide_lower_layers_and_not_their_own(tmp_path: Path) -> None:
    root = unpacked(
        tmp_path,
        [a_file("a/gone"), a_file("a/tree/deep/gone"), a_file("a/kept"), a_file("b/gone")],
        [
            a_file("a/tree/deep/mine"),
            a_file("b/mine"),
            a_file("a/.wh.gone"),
            a_file("a/.wh.tree"),
            a_file("b/.wh..wh..opq"),
            a_file(".wh.never-there"),
        ],
    )
    assert names(root) == {
        "a",
        "a/kept",
        "a/tree",
        "a/tree/deep",
        "a/tree/deep/mine",
        "b",
        "b/mine",
    }


def test_an_opaque_root_hides_everything(tmp_path: Path) -> None:
    root = unpacked(tmp_path, [a_file("a/b"), a_file("c")], [a_file(".wh..wh..opq"), a_file("a/d")])
    assert names(root) == {"a", "a/d"}


def test_a_sparse_file_comes_with_its_holes(tmp_path: Path) -> None:
    # GNU tar's own format 1.0, as `tar --sparse` writes it (tar manual, "Sparse Formats").
    sparse = b"1\n4096\n4\n".ljust(512, b"\0") + b"data"
    info = tarfile.TarInfo("GNUSparseFile.0/holes")
    info.size = len(sparse)
    info.pax_headers = {
        "GNU.sparse.major": "1",
        "GNU.sparse.minor": "0",
        "GNU.sparse.name": "holes",
        "GNU.sparse.realsize": "4100",
    }
    root = unpacked(tmp_path, [(info, sparse), a_file("next", b"whole")])
    assert (root / "holes").read_bytes() == bytes(4096) + b"data"
    assert (root / "next").read_bytes() == b"whole"


def test_owners_and_devices_are_the_image_s_for_root_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layer = [
        a_device("dev/null"),
        a_file("setuid", mode=0o4755, uid=12, gid=34),
        a_directory("closed", 0o555),
        a_file("closed/file", uid=12),
    ]
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    root = unpacked(tmp_path, layer)
    assert not (root / "dev/null").exists()
    assert stat.S_IMODE((root / "setuid").stat().st_mode) == 0o755
    assert (root / "setuid").stat().st_uid == os.getuid()
    assert (root / "closed").stat().st_mode & 0o700 == 0o700
    monkeypatch.undo()
    if os.geteuid() == 0:
        root = unpacked(tmp_path / "root", layer)
        assert stat.S_IMODE((root / "setuid").stat().st_mode) == 0o4755
        assert (root / "setuid").stat().st_gid == 34
        assert stat.S_IMODE((root / "closed").stat().st_mode) == 0o555
        assert root.parent.stat().st_mode & 0o077 == 0


def test_a_damaged_layer_leaves_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "oci")
    layer = add_layer(layout, [a_file("a", os.urandom(100_000))])
    manifest = add_image(layout, [layer])
    path = layout.blob_path(layer.blob.digest)
    whole = path.read_bytes()
    for damaged in (whole[:-2000], whole[:5000] + b"\xff\xff" + whole[5002:], b"not zstd"):
        path.write_bytes(damaged)
        with pytest.raises(IntegrityError, match=str(path)):
            ensure_root(layout, manifest, tmp_path / "roots", unheard)
        assert [each for each in (tmp_path / "roots").iterdir() if each.is_dir()] == []
    path.unlink()
    with pytest.raises(IntegrityError, match="is gone"):
        ensure_root(layout, manifest, tmp_path / "roots", unheard)
    path.write_bytes(whole)
    assert ensure_root(layout, manifest, tmp_path / "roots", unheard).is_dir()


def test_a_layer_with_another_diff_id_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "oci")
    one, two = add_layer(layout, [a_file("a")]), add_layer(layout, [a_file("b")])
    wrong = type(one)(one.blob, two.diff_id, one.holds)
    with pytest.raises(IntegrityError, match=f"its config says {two.diff_id}"):
        ensure_root(layout, add_image(layout, [wrong]), tmp_path / "roots", unheard)


def test_more_layers_than_diff_ids_are_refused(tmp_path: Path) -> None:
    layout, manifest = image_of(tmp_path / "oci", [a_file("a")])
    content = layout.read(manifest).replace(
        b'"layers":[',
        b'"layers":['
        + b"".join([layout.read(manifest).split(b'"layers":[')[1].split(b"]")[0], b","]),
    )
    broken = layout.add(content, manifest.media_type)
    with pytest.raises(IntegrityError, match="has 2 layers, but its config lists 1"):
        ensure_root(layout, broken, tmp_path / "roots", unheard)


def test_leftovers_of_an_interrupted_call_are_cleared(tmp_path: Path) -> None:
    layout, manifest = image_of(tmp_path / "oci", [a_file("a")])
    left = tmp_path / "roots" / f".new-{manifest.digest[7:19]}" / "half"
    left.mkdir(parents=True)
    (left / "file").write_text("half")
    root = ensure_root(layout, manifest, tmp_path / "roots", unheard)
    assert names(root) == {"a"}
    assert not left.exists()


def test_an_interrupt_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    layout, manifest = image_of(tmp_path / "oci", [a_file("a")])

    def interrupt(line: str, *level: int) -> None:
        raise KeyboardInterrupt(line, *level)

    with pytest.raises(KeyboardInterrupt):
        ensure_root(layout, manifest, tmp_path / "roots", interrupt)
    assert [each for each in (tmp_path / "roots").iterdir() if each.is_dir()] == []


def test_a_tar_with_nothing_in_it_is_a_layer(tmp_path: Path) -> None:
    root = unpacked(tmp_path, [])
    assert names(root) == set()


def test_what_is_no_tar_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "oci")
    layer = add_layer(layout, [])
    text = write_tar(layout, "zstd", "text", io.BytesIO(b"text, and no tar at all" * 100))
    manifest = add_image(layout, [layer, text])
    with pytest.raises(IntegrityError, match="is no whole tar"):
        ensure_root(layout, manifest, tmp_path / "roots", unheard)
