from __future__ import annotations

import pytest

from elt_env.conda.host_channel.elf import is_elf, relative_run_path, without_prefix

_PREFIXES = ("/opt/python/3.11", "/opt/py")


@pytest.mark.parametrize(
    ("run_path", "folder", "expected"),
    [
        ("/opt/python/3.11/lib", "bin", "$ORIGIN/../lib"),
        ("/opt/python/3.11/lib", "lib", "$ORIGIN/."),
        ("/opt/python/3.11/lib", "lib/python3.11/lib-dynload", "$ORIGIN/../.."),
        ("/opt/py/lib:/usr/lib", "bin", "$ORIGIN/../lib:/usr/lib"),
        ("/opt/py/lib:/opt/python/3.11/lib", "bin", "$ORIGIN/../lib"),
        ("$ORIGIN/../lib", "bin", "$ORIGIN/../lib"),
        ("/opt/python/3.11.7/lib", "bin", "/opt/python/3.11.7/lib"),
        ("", "bin", ""),
    ],
)
def test_run_paths_become_relative(run_path: str, folder: str, expected: str) -> None:
    assert relative_run_path(run_path, folder, _PREFIXES) == expected


def test_elf_files_are_known_by_their_first_bytes() -> None:
    assert is_elf(b"\x7fELF\x02")
    assert not is_elf(b"#!/bin/sh")
    assert not is_elf(b"")


@pytest.mark.parametrize(
    ("prefix", "found"),
    [
        ("/home/me/my-pythons/3.11", b"/opt/host_channel__/3.11"),
        ("/h/me", b"/o/me"),
    ],
)
def test_an_object_does_not_tell_where_it_was_installed(prefix: str, found: bytes) -> None:
    content = f"\x7fELF\0{prefix}\0{prefix}/lib:{prefix}2\0end".encode()
    assert without_prefix(content, (prefix,)) == b"\x7fELF\0%b\0%b/lib:%b2\0end" % (
        found,
        found,
        prefix.encode(),
    )


def test_what_lies_in_usr_tells_nothing() -> None:
    content = b"\x7fELF\0/usr/local/lib\0"
    assert without_prefix(content, ("/usr/local",)) == content
