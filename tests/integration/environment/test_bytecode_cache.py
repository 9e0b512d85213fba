"""Bytecode that was compiled before is what would be compiled, or it is not taken."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.environment.build import ensure_prefix
from elt_env.environment.bytecode_cache import BytecodeCache
from elt_env.environment.file_list import list_prefix
from elt_env.environment.prefix import Prefix
from elt_env.environment.prefix_bytecode import compile_prefix
from elt_env.lockfile.document import Lock
from elt_env.project.cache_home import CacheHome, sealed
from elt_env.python.bytecode import parse_bytecode
from elt_env.store.locks import Store
from tests.support.sample import Sample, silent

_LIMIT = 60.0
_OWN = b"alpha/__init__.py"
_FORGED = b"forged"


@pytest.fixture(scope="module")
def built(
    shared_sample: Sample, sample_lock: Lock, tmp_path_factory: pytest.TempPathFactory
) -> Prefix:
    root = tmp_path_factory.mktemp("cached")
    return Prefix(shared_sample.build(root, sample_lock).path, sample_lock)


@pytest.fixture
def home(built: Prefix, tmp_path: Path) -> Path:
    """A copy of what the store that the prefix was built in has of bytecode."""
    home = built.path.parents[1]
    shutil.copytree(home / "cache" / "bytecode", tmp_path / "cache" / "bytecode")
    shutil.copy(home / "bytecode.key", tmp_path)
    return tmp_path


def _entry(home: Path) -> Path:
    """Return the file of the package alpha."""
    (found,) = (
        each for each in (home / "cache" / "bytecode").iterdir() if _OWN in each.read_bytes()
    )
    return found


def _caches(home: Path) -> CacheHome:
    return CacheHome(home / "cache", home / "bytecode.key")


def _compile(prefix: Prefix, home: Path) -> list[str]:
    said: list[str] = []
    compile_prefix(prefix, BytecodeCache(_caches(home)), _LIMIT, lambda line, *_: said.append(line))
    return said


def _compiled_before(said: list[str]) -> tuple[int, int]:
    (line,) = (each for each in said if each.endswith("were compiled before"))
    _, number, _, every, *_ = line.split()
    return int(number), int(every)


def _bytecode(prefix: Path) -> dict[str, str]:
    files = list_prefix(prefix).files
    return {path: what for path, what in files.items() if path.endswith(".pyc")}


def test_another_prefix_of_the_lock_gets_the_same_from_the_cache(
    built: Prefix, shared_sample: Sample, tmp_path: Path
) -> None:
    toolbox = shared_sample.toolbox(built.path.parents[2])
    said: list[str] = []
    elsewhere = replace(toolbox, store=Store(tmp_path / "another"))
    other = ensure_prefix(built.lock, elsewhere, lambda line, *_: said.append(line)).path

    before, every = _compiled_before(said)
    wanted, found = _bytecode(built.path), _bytecode(other)
    assert wanted.keys() == found.keys()
    # What names its prefix is compiled in each, by itself.
    differing = [path for path, what in wanted.items() if found[path] != what]
    assert len(differing) <= every - before < every / 2
    for each in map(parse_bytecode, differing):
        assert each is not None
        assert bytes(other) in (other / each.source).read_bytes()
    # A copy: what happens in one prefix happens to no other.
    mine = [path for path in found if "/site-packages/alpha/" in path]
    assert mine
    assert all((other / path).stat().st_nlink == 1 for path in mine)


def test_what_the_cache_has_is_taken_and_not_compiled(built: Prefix, home: Path) -> None:
    before = list_prefix(built.path).files
    assert len(set(_compiled_before(_compile(built, home)))) == 1
    assert list_prefix(built.path).files == before


def _sign(entry: Path, data: bytes, home: Path) -> None:
    secret = (home / "bytecode.key").read_bytes()
    entry.write_bytes(sealed(entry.name, data, secret))


def _changed(entry: Path) -> bytes:
    """Return the content of a file with another byte at its end, which is one of bytecode."""
    data = entry.read_bytes()[32:]
    return data[: -len(_FORGED)] + _FORGED


def _change(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:32] + _changed(entry))


def _change_with_its_record(entry: Path) -> None:
    data = _changed(entry)
    entry.write_bytes(sealed(entry.name, data, b"whatever"))


def _change_the_list(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes().replace(b'": ', b'": 1', 1))


def _cut(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes()[:-1])


def _lengthen(entry: Path) -> None:
    entry.write_bytes(entry.read_bytes() + b"\0")


def _empty(entry: Path) -> None:
    entry.write_bytes(b"")


def _exchange(entry: Path) -> None:
    other = next(each for each in entry.parent.iterdir() if each != entry)
    shutil.copy(other, entry)


def _make_directory(entry: Path) -> None:
    entry.unlink()
    entry.mkdir()


def _change_with_a_key_in_the_cache(entry: Path) -> None:
    data = _changed(entry)
    (entry.parents[1] / "bytecode.key").write_bytes(b"whatever")
    entry.write_bytes(sealed(entry.name, data, b"whatever"))


def _lose_the_key(entry: Path) -> None:
    _change(entry)
    (entry.parents[2] / "bytecode.key").unlink()


def _empty_the_key(entry: Path) -> None:
    data = _changed(entry)
    (entry.parents[2] / "bytecode.key").write_bytes(b"")
    entry.write_bytes(sealed(entry.name, data, b""))


@pytest.mark.parametrize(
    "fault",
    [
        _change,
        _change_with_its_record,
        _change_with_a_key_in_the_cache,
        _change_the_list,
        _cut,
        _lengthen,
        _empty,
        _exchange,
        _make_directory,
        _lose_the_key,
        _empty_the_key,
        Path.unlink,
    ],
)
def test_a_damaged_entry_never_reaches_a_prefix(
    built: Prefix, home: Path, fault: Callable[[Path], None]
) -> None:
    before = list_prefix(built.path).files
    fault(_entry(home))

    taken, every = _compiled_before(_compile(built, home))

    assert taken < every
    assert list_prefix(built.path).files == before


def test_the_mode_of_an_entry_and_a_file_beside_it_change_nothing(
    built: Prefix, home: Path
) -> None:
    before = list_prefix(built.path).files
    _entry(home).chmod(0o777)
    (home / "cache" / "bytecode" / ("0" * 64)).write_bytes(_FORGED)
    assert len(set(_compiled_before(_compile(built, home)))) == 1
    assert list_prefix(built.path).files == before


def test_an_entry_that_was_damaged_is_whole_afterwards(built: Prefix, home: Path) -> None:
    _change(_entry(home))
    _compile(built, home)
    assert len(set(_compiled_before(_compile(built, home)))) == 1


def test_only_the_code_keeps_a_change_out(built: Prefix, home: Path) -> None:
    # So the faults above would be seen if nothing were compared.
    before = list_prefix(built.path).files
    entry = _entry(home)
    _sign(entry, _changed(entry), home)
    _compile(built, home)
    assert list_prefix(built.path).files != before
    shutil.rmtree(home / "cache" / "bytecode")
    _compile(built, home)
    assert list_prefix(built.path).files == before


def test_a_cache_that_cannot_be_written_holds_nobody_back(built: Prefix, tmp_path: Path) -> None:
    before = list_prefix(built.path).files
    (tmp_path / "file").write_bytes(b"")
    compile_prefix(built, BytecodeCache(_caches(tmp_path / "file")), _LIMIT, silent)
    assert list_prefix(built.path).files == before
