from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from elt_env.errors import IntegrityError, StorageError
from elt_env.image import spec as oci
from elt_env.image.oci.layout import Layout


def test_a_blob_is_there_under_its_digest(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    blob = layout.add(b"{}", oci.CONFIG)
    assert layout.has(blob)
    assert layout.intact(blob)
    assert layout.read(blob) == b"{}"
    assert layout.add(b"{}", oci.CONFIG) == blob


def test_a_blob_that_was_changed_is_not_given_out(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    blob = layout.add(b"12", oci.CONFIG)
    layout.blob_path(blob.digest).write_bytes(b"13")
    assert not layout.intact(blob)
    with pytest.raises(IntegrityError, match="was changed"):
        layout.read(blob)
    assert layout.intact(layout.add(b"12", oci.CONFIG))


def test_an_interrupted_blob_leaves_nothing(tmp_path: Path) -> None:
    layout = Layout(tmp_path)

    def interrupted() -> None:
        with layout.new_blob() as blob:
            blob.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not [each for each in tmp_path.rglob("*") if each.is_file()]


def test_names_are_kept_beside_each_other(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    one, two = layout.add(b"1", oci.MANIFEST), layout.add(b"2", oci.MANIFEST)
    layout.name("b", one)
    layout.name("a", one)
    layout.name("b", two)
    assert [each.annotations[oci.REF_NAME] for each in layout.images()] == ["a", "b"]
    found = layout.find("b")
    assert found is not None
    assert found.digest == two.digest
    layout.forget("b")
    assert layout.find("b") is None
    content = json.loads((tmp_path / "oci-layout").read_text())
    assert content == {"imageLayoutVersion": "1.0.0"}


def test_writers_at_once_lose_no_name(tmp_path: Path) -> None:
    manifest = Layout(tmp_path).add(b"1", oci.MANIFEST)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: Layout(tmp_path).name(str(name), manifest), range(20)))
    assert len(Layout(tmp_path).images()) == 20


def test_an_index_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("[]")
    with pytest.raises(IntegrityError, match="not an index of images"):
        Layout(tmp_path).images()


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        Layout(tmp_path / "file").name("a", oci.describe(b"", oci.MANIFEST))
