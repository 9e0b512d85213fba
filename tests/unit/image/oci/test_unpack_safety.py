"""No entry of a layer reaches outside of the root, whatever it is called."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from elt_env.errors import IntegrityError
from elt_env.image.oci.unpack import ensure_root
from elt_env.machine.process import unheard
from tests.support.layouts import Entry, a_directory, a_file, a_hard_link, a_symlink, image_of


def unpacked(place: Path, *layers: Iterable[Entry]) -> Path:
    layout, manifest = image_of(place / "oci", *layers)
    return ensure_root(layout, manifest, place / "roots", unheard)


@pytest.mark.parametrize(
    "layer",
    [
        [a_file("../escaped")],
        [a_file("a/../../escaped")],
        [a_file("/escaped")],
        [a_symlink("out", ".."), a_file("out/escaped")],
        [a_symlink("out", "/etc"), a_directory("out/escaped")],
        [a_symlink("out", "/etc"), a_symlink("out/escaped", "x")],
        [a_symlink("out", "/etc"), a_hard_link("mine", "out/escaped")],
        [a_hard_link("mine", "../../escaped")],
        [a_hard_link("mine", "never-there")],
        [a_symlink("out", ".."), a_file("out/.wh.oci")],
        [a_symlink("out", ".."), a_file("out/.wh..wh..opq")],
        [a_file("a/.wh..")],
        [a_file("a/.wh...")],
        [a_file("file"), a_file("file/below")],
        [a_file("x" * 300)],
        [a_file(".", b"the root as a file")],
    ],
    ids=lambda layer: layer[-1][0].name[:20],
)
def test_nothing_leaves_the_root(tmp_path: Path, layer: list[Entry]) -> None:
    (tmp_path / "roots").mkdir()
    before = sorted(tmp_path.parent.iterdir())
    with pytest.raises(IntegrityError, match=r"The entry .* cannot be unpacked"):
        unpacked(tmp_path, [a_file("lower/kept")], layer)
    assert [each for each in (tmp_path / "roots").iterdir() if each.is_dir()] == []
    assert sorted(tmp_path.parent.iterdir()) == before
    assert (tmp_path / "oci").is_dir()


_NAMES = st.lists(
    st.sampled_from(["a", "b", "..", ".", "", "outside", ".wh.a", ".wh..wh..opq"]), max_size=4
).map("/".join)
_ENTRIES = st.one_of(
    st.builds(a_file, _NAMES, st.just(b"new")),
    st.builds(a_directory, _NAMES),
    st.builds(a_symlink, _NAMES, _NAMES.filter(bool)),
    st.builds(a_hard_link, _NAMES, _NAMES),
)
_LAYERS = st.lists(st.lists(_ENTRIES, max_size=5), min_size=1, max_size=3)


_FAST = "/dev/shm" if Path("/dev/shm").is_dir() else None  # noqa: S108  # no disk to wait for


@settings(max_examples=200, deadline=None)
@given(layers=_LAYERS)
def test_whatever_the_layers_are_nothing_outside_changes(layers: list[list[Entry]]) -> None:
    with tempfile.TemporaryDirectory(dir=_FAST) as directory:
        place = Path(directory)
        outside = place / "roots" / "outside"
        outside.parent.mkdir()
        outside.write_text("kept")
        try:
            root = unpacked(place, *layers)
        except IntegrityError:
            left = {each for each in outside.parent.iterdir() if not each.name.endswith(".lock")}
            assert left == {outside}
        else:
            assert root.is_dir()
        assert outside.read_text() == "kept"
        assert outside.stat().st_nlink == 1
        assert {each.name for each in place.iterdir()} == {"oci", "roots"}
