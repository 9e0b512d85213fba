from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import tarfile
from pathlib import Path
from typing import Literal, get_args

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from elt_env.image import spec as oci
from elt_env.image.oci.layer import MTIME, Compression, LayerWriter, header, write_layer, write_tar
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Layer

KINDS = list(get_args(Compression))
PARTS = st.text(min_size=1, max_size=110).filter(
    lambda name: "\0" not in name and "/" not in name and name.isprintable()
) | st.from_regex(r"[a-z]{1,110}", fullmatch=True)
NAMES = st.lists(PARTS, min_size=1, max_size=5).map("/".join)


def tar_of(layout: Layout, layer: Layer) -> bytes:
    data = layout.read(layer.blob)
    if layer.blob.media_type == oci.LAYER_GZIP:
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(data)


def sample(layer: LayerWriter) -> None:
    layer.directory("tmp", 0o1777)
    layer.file("opt/elt/bin/dbt", b"#!/opt/elt/bin/python\n", 0o755)
    layer.symlink("opt/elt/bin/d", "x" * 300)
    layer.file("opt/elt/" + "long/" * 60 + "name", b"deep")
    layer.file("opt/elt/bytes-\udcff", b"odd")
    layer.copy("opt/elt/large", io.BytesIO(b"z" * 3_000_000), 3_000_000)


@pytest.mark.parametrize("kind", KINDS)
def test_a_layer_is_a_tar_that_anybody_reads(kind: Compression, tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layer = write_layer(layout, kind, "sample", sample)
    tar = tar_of(layout, layer)
    assert layer.diff_id == "sha256:" + hashlib.sha256(tar).hexdigest()
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        found = {each.name: each for each in archive}
        large = archive.extractfile("opt/elt/large")
        assert large is not None
        assert large.read() == b"z" * 3_000_000
    assert found["opt/elt/bin/dbt"].mode == 0o755
    assert found["opt/elt/bin/d"].linkname == "x" * 300
    assert found["tmp"].mode == 0o1777
    assert "opt/elt/bytes-\udcff" in found
    assert {(each.uid, each.gid, each.mtime) for each in found.values()} == {(0, 0, MTIME)}


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_content_gives_the_same_bytes(kind: Compression, tmp_path: Path) -> None:
    one = write_layer(Layout(tmp_path / "one"), kind, "sample", sample)
    assert write_layer(Layout(tmp_path / "two"), kind, "sample", sample) == one


def test_directories_come_before_what_is_in_them_and_once(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layer = write_layer(layout, "zstd", "", sample)
    with tarfile.open(fileobj=io.BytesIO(tar_of(layout, layer))) as archive:
        names = archive.getnames()
    assert len(set(names)) == len(names)
    for name in names:
        above = name.rpartition("/")[0]
        assert not above or names.index(above) < names.index(name)


@given(
    NAMES,
    st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE]),
    st.sampled_from([0o644, 0o755]),
    st.integers(0, 1 << 40),
    st.sampled_from([0, 1000]),
)
def test_a_header_is_that_of_the_standard_library(
    name: str, kind: bytes, mode: int, size: int, owner: int
) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.size, info.mtime = kind, mode, size, MTIME
    info.uid = info.gid = owner
    forms: list[Literal[0, 2]] = [tarfile.PAX_FORMAT]
    if name.isascii() and size < 1 << 33:
        forms.insert(0, tarfile.USTAR_FORMAT)
    for form in forms:
        with contextlib.suppress(ValueError):  # too long for ustar
            wanted = info.tobuf(form, "utf-8", "surrogateescape")
            break
    assert header(name, kind, mode, size, "", owner) == wanted


@given(st.lists(st.integers(0, 3 << 20), max_size=3), st.integers(1 << 12, 1 << 21))
def test_how_content_is_cut_does_not_change_the_bytes(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], size: int
) -> None:
    layout = Layout(tmp_path_factory.getbasetemp() / "cut")
    whole = b"".join(bytes([number]) * each for number, each in enumerate(sizes))

    class Slow(io.BytesIO):
        def read(self, amount: int | None = -1, /) -> bytes:
            return super().read(min(size, amount or size) if amount != -1 else -1)

    assert write_tar(layout, "zstd", "", Slow(whole)) == write_tar(
        layout, "zstd", "", io.BytesIO(whole)
    )


def test_a_file_that_ends_early_leaves_no_layer(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    with pytest.raises(EOFError, match="cut ended 1 bytes early"):
        write_layer(layout, "zstd", "", lambda layer: layer.copy("cut", io.BytesIO(b"12"), 3))
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]
