"""Bytecode that was compiled before is what would be compiled, or it is not taken."""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.environment.build import advance, changed_since_sealed, ensure_prefix
from elt_env.environment.bytecode_cache import BytecodeCache
from elt_env.environment.damage import Damage
from elt_env.environment.file_list import list_prefix
from elt_env.environment.prefix import Prefix, Stage
from elt_env.environment.prefix_bytecode import compile_prefix
from elt_env.lockfile.document import Lock
from elt_env.project.cache_home import CacheHome, sealed
from elt_env.python.bytecode import parse_bytecode
from elt_env.release.repair import repair
from elt_env.release.verify import verify
from elt_env.runtime.files import write_atomically
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.sample import Sample, silent

_LIMIT = 60.0
_OWN = b"alpha/__init__.py"
_FORGED = b"forged"
_CODE = 32  # bytes before what an index says


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
    """Return the directory of the package alpha."""
    (found,) = (
        each
        for each in (home / "cache" / "bytecode").iterdir()
        if _OWN in (each / "index").read_bytes()
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
    say = lambda line, *_: said.append(line)  # noqa: E731
    other = advance(built.lock, Stage.READY, elsewhere, say, anew=True).path

    before, every = _compiled_before(said)
    wanted, found = _bytecode(built.path), _bytecode(other)
    assert wanted.keys() == found.keys()
    # What names its prefix is compiled in each, by itself.
    differing = [path for path, what in wanted.items() if found[path] != what]
    assert len(differing) <= every - before < every / 2
    for each in map(parse_bytecode, differing):
        assert each is not None
        assert bytes(other) in (other / each.source).read_bytes()


def test_what_is_edited_in_one_prefix_is_noticed_in_all_and_mended_in_each(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    first = sample.toolbox(tmp_path)
    second = replace(first, store=Store(tmp_path / "another"))
    prefixes = [Prefix(_ensured(sample_lock, each), sample_lock) for each in (first, second)]
    wanted = [list_prefix(each.path).files for each in prefixes]
    edited = next(each for each in sorted(wanted[0]) if "alpha/__pycache__" in each)
    assert wanted[0][edited] == wanted[1][edited]
    with (prefixes[0].path / edited).open("r+b") as file:
        file.write(_FORGED)

    for toolbox, prefix, files in zip((first, second), prefixes, wanted, strict=True):
        (seen,) = changed_since_sealed(prefix)
        assert seen == Damage("prefix", edited, "was changed")
        repair(sample_lock, verify(sample_lock, toolbox.store, silent), toolbox, silent)
        assert changed_since_sealed(prefix) == ()
        assert list_prefix(prefix.path).files == files
    third = replace(first, store=Store(tmp_path / "third"))
    other = list_prefix(_ensured(sample_lock, third)).files
    assert other[edited] == wanted[0][edited]


def test_what_python_writes_anew_is_no_damage_and_reaches_no_other_prefix(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    first = sample.toolbox(tmp_path)
    second = replace(first, store=Store(tmp_path / "another"))
    prefix, other = (Prefix(_ensured(sample_lock, each), sample_lock) for each in (first, second))
    before = list_prefix(other.path).files
    module = prefix.site_packages / "alpha" / "__init__.py"
    write_atomically(module, module.read_bytes() + b"added = True\n")
    subprocess.run([prefix.python, "-c", "import alpha"], check=True, timeout=_LIMIT)

    assert {each.path for each in changed_since_sealed(prefix)} == {
        module.relative_to(prefix.path).as_posix()
    }
    assert (
        len([each for each in verify(sample_lock, first.store, silent) if not each.is_fault]) == 1
    )
    assert list_prefix(other.path).files == before


def _ensured(lock: Lock, toolbox: Tools) -> Path:
    return ensure_prefix(lock, toolbox, silent).path


def test_where_nothing_can_be_linked_it_is_copied(
    built: Prefix, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EXDEV, "Invalid cross-device link")

    before = list_prefix(built.path).files
    monkeypatch.setattr(os, "link", refuse)
    assert len(set(_compiled_before(_compile(built, home)))) == 1
    assert list_prefix(built.path).files == before
    pycs = [each for each in before if "alpha/__pycache__" in each]
    assert pycs
    assert all((built.path / each).stat().st_nlink == 1 for each in pycs)


def test_what_the_cache_has_is_taken_and_not_compiled(built: Prefix, home: Path) -> None:
    before = list_prefix(built.path).files
    assert len(set(_compiled_before(_compile(built, home)))) == 1
    assert list_prefix(built.path).files == before


def _index(entry: Path) -> Path:
    return entry / "index"


def _change_the_index(entry: Path, secret: bytes = b"") -> None:
    """Let the index say that the first file is another one."""
    data = _index(entry).read_bytes()
    old = json.loads(data[_CODE:])
    (entry / "0").unlink()
    (entry / "0").write_bytes(_FORGED)
    (entry / "0").chmod(0o644)
    first = [0o644, hashlib.sha256(_FORGED).hexdigest()]
    changed = json.dumps({**old, next(iter(old)): first}).encode()
    code = sealed(entry.name, changed, secret)[:_CODE] if secret else data[:_CODE]
    _index(entry).write_bytes(code + changed)


def _change_the_index_with_its_code(entry: Path) -> None:
    _change_the_index(entry, b"whatever")


def _change_with_a_key_in_the_cache(entry: Path) -> None:
    (entry.parents[1] / "bytecode.key").write_bytes(b"whatever")
    _change_the_index(entry, b"whatever")


def _lose_the_key(entry: Path) -> None:
    _change_the_index(entry)
    (entry.parents[2] / "bytecode.key").unlink()


def _empty_the_key(entry: Path) -> None:
    (entry.parents[2] / "bytecode.key").write_bytes(b"")
    _change_the_index(entry)
    data = _index(entry).read_bytes()[_CODE:]
    _index(entry).write_bytes(hmac.digest(b"", entry.name.encode() + data, "sha256") + data)


def _exchange_entries(entry: Path) -> None:
    other = next(each for each in entry.parent.iterdir() if each != entry)
    shutil.rmtree(entry)
    shutil.copytree(other, entry)


def _remove(entry: Path) -> None:
    shutil.rmtree(entry)


def _file_for_entry(entry: Path) -> None:
    shutil.rmtree(entry)
    entry.write_bytes(b"")


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _lengthen(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _make_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _make_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


_OF_FILES = (_cut, _lengthen, _empty, _make_directory, _make_pipe, Path.unlink)


def _change_and_set_times_back(path: Path) -> None:
    found = path.stat()
    with path.open("r+b") as file:
        file.seek(-len(_FORGED), os.SEEK_END)
        file.write(_FORGED)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _take_another_s(path: Path) -> None:
    entries = path.parents[1].iterdir()
    shutil.copyfile(next(each for each in entries if each != path.parent) / "0", path)


def _link_to_the_same(path: Path) -> None:
    shutil.move(path, path.with_name("aside"))
    path.symlink_to("aside")


def _give_a_mode(path: Path) -> None:
    path.chmod(0o666)


def _give_an_attribute(path: Path) -> None:
    os.setxattr(path, "user.forged", b"yes")


def _in_file(fault: Callable[[Path], None], name: str) -> Callable[[Path], None]:
    return lambda entry: fault(entry / name)


_FAULTS: dict[str, Callable[[Path], None]] = {
    **{
        each.__name__: each
        for each in (
            _change_the_index,
            _change_the_index_with_its_code,
            _change_with_a_key_in_the_cache,
            _lose_the_key,
            _empty_the_key,
            _exchange_entries,
            _file_for_entry,
            _remove,
        )
    },
    **{f"index: {each.__name__}": _in_file(each, "index") for each in _OF_FILES},
    **{
        f"file: {each.__name__}": _in_file(each, "0")
        for each in (
            *_OF_FILES,
            _change_and_set_times_back,
            _take_another_s,
            _link_to_the_same,
            _give_a_mode,
            _give_an_attribute,
        )
    },
}


@pytest.mark.parametrize("fault", _FAULTS.values(), ids=_FAULTS)
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
    (_entry(home) / "more").write_bytes(_FORGED)
    (home / "cache" / "bytecode" / ("0" * 64)).write_bytes(_FORGED)
    assert len(set(_compiled_before(_compile(built, home)))) == 1
    assert list_prefix(built.path).files == before


def test_an_entry_that_was_damaged_is_whole_afterwards(built: Prefix, home: Path) -> None:
    _change_and_set_times_back(_entry(home) / "0")
    _compile(built, home)
    assert len(set(_compiled_before(_compile(built, home)))) == 1


def test_only_the_code_keeps_a_change_out(built: Prefix, home: Path) -> None:
    # So the faults above would be seen if nothing were compared.
    before = list_prefix(built.path).files
    _change_the_index(_entry(home), (home / "bytecode.key").read_bytes())
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
