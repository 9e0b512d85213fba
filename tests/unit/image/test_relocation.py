from __future__ import annotations

import importlib.util
import marshal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import IntegrityError, PolicyError
from elt_env.image.packing import Relocation

HERE = "/somewhere/with a space/elt@3.11-0123456789ab"
PLACE = "/opt/elt"
PRINTED = " ".join(f"'\\'0{ord(each):03o}" for each in f"{HERE}/bin/python3.11")
OCTAL = f'"$(printf %b {PRINTED})"'
MOVE = Relocation(Path(HERE), PLACE)


def moved(name: str, text: str) -> str:
    data = MOVE.content(name, text.encode())
    assert data is not None
    return data.decode()


def test_text_names_the_new_place() -> None:
    text = f"prefix={HERE}\nlibdir={HERE}/lib\nother=/somewhere\n"
    assert (
        moved("lib/pkgconfig/a.pc", text)
        == "prefix=/opt/elt\nlibdir=/opt/elt/lib\nother=/somewhere\n"
    )


@pytest.mark.parametrize(
    "first",
    [
        f"#!{HERE}/bin/python3.11\n",
        f"#!/bin/sh\n'''exec' '{HERE}/bin/python3.11' \"$0\" \"$@\"\n' '''\n",
        f"#!/bin/sh\n'''exec' \"{HERE}/bin/python3.11\" \"$0\" \"$@\"\n' '''\n",
        f"#!/bin/sh\n'''exec' {HERE}/bin/python3.11 \"$0\" \"$@\" #'''\n",
        f"#!/bin/sh\n# coding: utf-8\n'''exec' {OCTAL} \"$0\" \"$@\"\n' '''\n",
        "#!/usr/bin/env python3.11\n",
    ],
)
def test_a_script_begins_the_same_however_it_was_installed(first: str) -> None:
    assert moved("bin/dbt", first + "import sys\n") == "#!/opt/elt/bin/python3.11\nimport sys\n"


def test_a_shell_script_keeps_its_first_line() -> None:
    text = "#!/bin/sh\nexec true\n"
    assert moved("bin/tool", text) == text


def test_a_binary_keeps_its_length_and_its_other_strings() -> None:
    data = b"\x7fELF\0" + f"{HERE}/lib:{HERE}/lib64".encode() + b"\0next\0\0end"
    found = MOVE.content("lib/libx.so", data)
    assert found is not None
    assert len(found) == len(data)
    assert found.startswith(b"\x7fELF\0/opt/elt/lib:/opt/elt/lib64\0\0")
    assert found.endswith(b"\0next\0\0end")


def test_what_cannot_be_replaced_is_named() -> None:
    with pytest.raises(IntegrityError, match=r"share/data\.bin holds the path of its prefix"):
        MOVE.content("share/data.bin", b"\0" + HERE.encode())


def test_compiled_modules_are_not_compared_with_their_sources() -> None:
    source = b"x = 1\n"
    code = marshal.dumps(compile(source, "m.py", "exec"))
    magic = importlib.util.MAGIC_NUMBER
    digest = importlib.util.source_hash(source)
    unchecked = magic + b"\1\0\0\0"
    assert MOVE.content("m.pyc", magic + b"\3\0\0\0" + digest + code) == unchecked + digest + code
    assert (
        MOVE.content("m.pyc", magic + bytes(4) + b"timesize" + code) == unchecked + bytes(8) + code
    )
    assert MOVE.content("m.pyc", unchecked + digest + code) == unchecked + digest + code


def test_a_compiled_module_that_names_the_prefix_is_left_out() -> None:
    assert MOVE.content("m.pyc", b"magc\3\0\0\0" + HERE.encode()) is None


def test_a_link_to_the_prefix_goes_to_the_new_place() -> None:
    assert MOVE.link(f"{HERE}/lib/a.so") == "/opt/elt/lib/a.so"
    assert MOVE.link("../lib/a.so") == "../lib/a.so"


def test_the_real_path_of_a_prefix_is_replaced_as_well(tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    (tmp_path / "link").symlink_to(real)
    move = Relocation(tmp_path / "link", "/opt/elt")
    assert move.content("a", f"{real}|{tmp_path}/link".encode()) == b"/opt/elt|/opt/elt"


def test_a_place_longer_than_the_prefix_is_refused() -> None:
    with pytest.raises(PolicyError, match="longer than the prefix /p"):
        Relocation(Path("/p"), PLACE)


@given(st.binary(max_size=200))
def test_what_does_not_name_the_prefix_stays_as_it_is(data: bytes) -> None:
    assert MOVE.content("lib/any", data) == data


@given(st.lists(st.binary(max_size=20), max_size=5))
def test_nothing_of_the_prefix_is_left(parts: list[bytes]) -> None:
    data = b"\x7fELF" + HERE.encode().join(parts)
    found = MOVE.content("lib/any", data)
    assert found is not None
    assert len(found) == len(data)
    assert HERE.encode() not in found


def test_a_binary_that_conda_put_the_prefix_into_holds_it_in_strings() -> None:
    data = b"\x7fGIR\0" + f"{HERE}/share".encode() + b"\0" + b"\0" * 9 + b"end"
    found = MOVE.content("lib/a.typelib", data, placed=True)
    assert found == (b"\x7fGIR\0/opt/elt/share").ljust(len(data) - 3, b"\0") + b"end"
    with pytest.raises(IntegrityError):
        MOVE.content("lib/a.typelib", data)
