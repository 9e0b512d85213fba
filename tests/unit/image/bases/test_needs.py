"""Where a library of the system is taken from."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from elt_env.environment.elf import read_elf
from elt_env.image.bases.needs import system_places
from elt_env.machine.system_libraries import SystemLibraries
from tests.support.native import for_another_machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="ELF is Linux's")


def test_what_only_some_processors_or_others_can_run_is_passed_by(tmp_path: Path) -> None:
    elf = Path(sys.executable).read_bytes()
    contents = {
        "glibc-hwcaps/x86-64-v3/libodd.so.1": elf,
        "other/libodd.so.1": for_another_machine(elf),
        "text/libodd.so.1": b"INPUT(libodd.so.2)",
        "plain/libodd.so.1": elf,
    }
    for name, data in contents.items():
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_bytes(data)
    system = SystemLibraries({"libodd.so.1": tuple(tmp_path / name for name in contents)})
    shape = read_elf(Path(sys.executable)).shape
    assert system_places("libodd.so.1", system, shape) == [tmp_path / "plain/libodd.so.1"]
    assert system_places("libnone.so.1", system, shape) == []
