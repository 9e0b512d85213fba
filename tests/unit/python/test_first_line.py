from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.python.first_line import long_first_line, written_by_uv

PATHS = st.binary(min_size=1).filter(lambda each: not {0, 10} & set(each)).map(b"/".__add__)


@given(PATHS, st.sampled_from([b"", b"import sys\n", b"# coding: latin-1\nimport sys\n"]))
def test_what_uv_writes_is_read_again(program: bytes, script: bytes) -> None:
    short, *long = written_by_uv(program, script)
    assert short == b"#!" + program + b"\n" + script
    assert [long_first_line(each) for each in long] == [(program, script)] * len(long)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"#!/bin/sh\n",
        b"#!/bin/sh\nexec true\n",
        b"#!/usr/bin/python\n'''exec' a \"$0\" \"$@\"\n' '''\n",
    ],
)
def test_others_have_no_long_form(data: bytes) -> None:
    assert long_first_line(data) is None


def test_what_is_no_word_of_a_shell_is_left_as_it_is() -> None:
    data = b"#!/bin/sh\n'''exec' '/a\"b \"$0\" \"$@\"\n' '''\nrest"
    assert long_first_line(data) == (b"'/a\"b", b"rest")
