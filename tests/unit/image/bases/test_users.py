"""The user `elt` in somebody else's image."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.errors import IntegrityError
from elt_env.image.bases.base import Base, Request
from elt_env.image.bases.users import GROUP, PASSWD, accounts, user_layer, with_group, with_user
from elt_env.image.oci.layout import Layout
from elt_env.image.spec import Layer
from tests.support.bases import Files, damage, make_layer, members

_ROOT = b"root:x:0:0:root:/root:/bin/sh\n"
_ELT = b"elt:x:1000:1000::/home/elt:/bin/sh\n"


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "oci")


def _layers(layout: Layout, *files: Files) -> list[Layer]:
    return [make_layer(layout, each) for each in files]


def _added(layout: Layout, *files: Files) -> tuple[list[Layer], tuple[Layer, ...]]:
    layers = _layers(layout, *files)
    return layers, user_layer(layers, Request("linux-64", layout, "zstd", 9.0, print))


def test_a_user_is_added_once() -> None:
    assert with_user(_ROOT.decode()) == (_ROOT + _ELT).decode()
    assert with_user(with_user("")) == with_user("") == (_ROOT + _ELT).decode()
    assert with_group("a:x:7:\n\n") == "a:x:7:\nelt:x:1000:\n"


def test_who_has_the_number_keeps_it() -> None:
    text = "ubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n"
    assert with_user(text) == text


def test_the_topmost_layer_decides(layout: Layout) -> None:
    layers = _layers(layout, {PASSWD: b"a\n", GROUP: b"g\n"}, {}, {PASSWD: b"b\n"})
    assert accounts(layout, layers) == ("b\n", "g\n")


@pytest.mark.parametrize("whiteout", ["etc/.wh.passwd", "etc/.wh..wh..opq", ".wh.etc"])
def test_what_a_layer_hides_is_not_there(layout: Layout, whiteout: str) -> None:
    layers = _layers(layout, {PASSWD: b"a\n"}, {whiteout: b""})
    assert accounts(layout, layers) == ("", "")


def test_an_opaque_directory_hides_only_what_is_below(layout: Layout) -> None:
    layers = _layers(
        layout, {PASSWD: b"a\n", GROUP: b"g\n"}, {"etc/.wh..wh..opq": b"", GROUP: b"h"}
    )
    assert accounts(layout, layers) == ("", "h")


def test_an_image_without_the_user_gets_it_in_a_layer(layout: Layout) -> None:
    layers, added = _added(layout, {PASSWD: _ROOT, GROUP: b"root:x:0:\n"})
    assert accounts(layout, [*layers, *added]) == (
        (_ROOT + _ELT).decode(),
        "root:x:0:\nelt:x:1000:\n",
    )
    found = members(Base("layout", "", added), layout)
    assert (found["home/elt"].uid, found["home/elt"].gid, found["home"].uid) == (1000, 1000, 0)
    assert found["tmp"].mode == 0o1777


def test_an_image_with_the_user_stays_as_it_is(layout: Layout) -> None:
    _, added = _added(layout, {PASSWD: _ROOT + _ELT})
    assert added == ()


def test_where_another_has_the_number_the_home_is_added(layout: Layout) -> None:
    _, added = _added(layout, {PASSWD: b"ubuntu:x:1000:1000::/home/ubuntu:/bin/bash\n"})
    assert "home/elt" in members(Base("layout", "", added), layout)


def test_bytes_that_are_no_utf8_stay(layout: Layout) -> None:
    layers, added = _added(layout, {PASSWD: b"j\xf6rg:x:7:7::/:/bin/sh\n"})
    assert accounts(layout, [*layers, *added])[0].startswith("j\udcf6rg:x:7")


def test_a_damaged_layer_is_found(layout: Layout) -> None:
    layers = _layers(layout, {PASSWD: _ROOT * 99})
    damage(layout.blob_path(layers[0].blob.digest))
    with pytest.raises(IntegrityError):
        accounts(layout, layers)
