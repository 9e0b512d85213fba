"""What a failed build says that this machine lacks."""

from __future__ import annotations

import pytest

from elt_env.pip.locked_build import missing_for_build


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("x.c:1:10: fatal error: libpq-fe.h: No such file or directory", ("header", "libpq-fe.h")),
        ("x.c:1:10: fatal error: 'openssl/ssl.h' file not found", ("header", "openssl/ssl.h")),
        ("/usr/bin/ld: cannot find -lpq: No such file or directory", ("library", "pq")),
        ("error: command 'gcc' failed: No such file or directory", ("compiler", "gcc")),
        ("FileNotFoundError: [Errno 2] No such file or directory: 'cc'", ("compiler", "cc")),
        ("/bin/sh: 1: x86_64-linux-gnu-g++: not found", ("compiler", "x86_64-linux-gnu-g++")),
        ("Error: pg_config executable not found.", ("program", "pg_config")),
        ("error: cargo, the Rust package manager, is not installed", ("program", "cargo")),
        ("No package 'libffi' found", ("library", "libffi")),
    ],
)
def test_it_is_named(text: str, lacks: tuple[str, str]) -> None:
    assert missing_for_build(f"running build_ext\n{text}\nfailed") == (lacks,)


def test_what_is_said_twice_is_named_once_and_a_code_error_is_none() -> None:
    line = "x.c:1:10: fatal error: a.h: No such file or directory\n"
    assert missing_for_build(line * 2) == (("header", "a.h"),)
    failed = "x.c:3: error: expected ';' before '}'\nerror: command '/usr/bin/gcc' failed"
    assert missing_for_build(f"{failed} with exit code 1") == ()
