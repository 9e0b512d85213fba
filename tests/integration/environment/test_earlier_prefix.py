"""A prefix that is made of one that was sealed before is what would be built, or it is not made."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.environment.build import advance, changed_since_sealed
from elt_env.environment.file_list import kept_list, list_path, list_prefix
from elt_env.environment.prefix import MARKER, Prefix, Stage
from elt_env.environment.tree import differing
from elt_env.lockfile.document import Lock
from elt_env.python.bytecode import parse_bytecode
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.said import Said
from tests.support.sample import Sample

_MADE = "link_earlier_prefix"
_CODE = 32  # bytes before what a note says


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A short place: one of over 100 bytes is not linked."""
    with tempfile.TemporaryDirectory(prefix="elt-env-") as name:
        yield Path(name).resolve()


@pytest.fixture
def first(sample: Sample, sample_lock: Lock, tmp_path: Path) -> tuple[Tools, Prefix]:
    """A project that has built the lock, and its prefix."""
    tools = sample.toolbox(tmp_path / "p")
    return tools, _prefix(sample_lock, tools, "one")[0]


def _prefix(
    lock: Lock, tools: Tools, name: str, *, anew: bool = False
) -> tuple[Prefix, tuple[str, ...], Said]:
    """Return a prefix of the lock in a store of that name, how it was made, and what was said."""
    said = Said()
    store = Store(tools.project.root / name)
    built = advance(lock, Stage.READY, replace(tools, store=store), said, anew=anew)
    return Prefix(built.path, lock), built.steps, said


def test_it_is_what_would_be_built(first: tuple[Tools, Prefix], sample_lock: Lock) -> None:
    tools, one = first
    two, steps, _ = _prefix(sample_lock, tools, "two")
    new, others, _ = _prefix(sample_lock, tools, "new", anew=True)

    assert (steps, _MADE in others) == ((_MADE,), False)
    assert differing(two.path, new.path) == []
    made, built = kept_list(two.path), kept_list(new.path)
    assert made
    assert built
    assert (made.directories, made.attributes) == (built.directories, built.attributes)
    assert made == list_prefix(two.path)
    assert made.files.keys() == built.files.keys()
    assert changed_since_sealed(two) == changed_since_sealed(one) == ()
    assert not [each for each in made.files if bytes(one.path) in _content(two.path / each)]


def test_its_place_may_be_longer_or_shorter(first: tuple[Tools, Prefix], sample_lock: Lock) -> None:
    tools, _ = first
    for name in ("a", "a-longer"):
        made, steps, _ = _prefix(sample_lock, tools, name)
        new, _, _ = _prefix(sample_lock, tools, "n" * len(name), anew=True)
        assert steps == (_MADE,)
        assert differing(made.path, new.path) == []


def _content(path: Path) -> bytes:
    return b"" if path.is_symlink() else path.read_bytes()


def _edit(path: Path) -> None:
    """Change one byte in its place, and set the times back."""
    found = path.stat()
    mode = found.st_mode
    path.chmod(0o644)
    with path.open("r+b") as file:
        last = path.read_bytes()[-1]
        file.seek(-1, os.SEEK_END)
        file.write(bytes([last ^ 1]))
    path.chmod(mode)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def _first(prefix: Prefix, pattern: str) -> Path:
    return next(
        each
        for each in sorted(prefix.path.glob(pattern))
        if each.is_file() and not each.is_symlink()
    )


def _in(pattern: str, fault: Callable[[Path], None]) -> Callable[[Tools, Prefix], None]:
    return lambda _, prefix: fault(_first(prefix, pattern))


def _other_mode(path: Path) -> None:
    path.chmod(0o600)


def _attribute(path: Path) -> None:
    os.setxattr(path, "user.forged", b"yes")


def _lead_elsewhere(_: Tools, prefix: Prefix) -> None:
    link = next(each for each in prefix.path.rglob("*") if each.is_symlink())
    link.unlink()
    link.symlink_to("/bin/sh")


def _add_to_the_list(_: Tools, prefix: Prefix) -> None:
    path = list_path(prefix.path)
    content = json.loads(path.read_bytes())
    name = next(each for each in content["files"] if each.endswith("alpha/__init__.py"))
    module = prefix.path / name
    module.unlink()
    module.write_bytes(b"forged = True\n")
    content["files"] = list_prefix(prefix.path).files
    path.write_text(json.dumps(content))


def _note(tools: Tools) -> Path:
    (found,) = (tools.project.caches.path / "sealed").iterdir()
    return found


def _change_the_note(tools: Tools, prefix: Prefix) -> None:
    other = prefix.path.with_name("other")
    shutil.copytree(prefix.path, other, symlinks=True)
    marker = json.loads((other / MARKER).read_text()) | {"place": str(other)}
    (other / MARKER).write_text(json.dumps(marker))
    _first(Prefix(other, prefix.lock), "lib/*/site-packages/alpha/__init__.py").write_text("0")
    listed = list_prefix(other)
    list_path(other).write_text(json.dumps(vars(listed)))
    note = _note(tools)
    data = note.read_bytes().replace(bytes(prefix.path), bytes(other))
    note.write_bytes(data)


def _lose_the_key(tools: Tools, _: Prefix) -> None:
    tools.project.caches.key.unlink()


def _remove(_: Tools, prefix: Prefix) -> None:
    shutil.rmtree(prefix.path)


def _interrupt(_: Tools, prefix: Prefix) -> None:
    (prefix.path / MARKER).unlink()


def _lose_the_list(_: Tools, prefix: Prefix) -> None:
    list_path(prefix.path).unlink()


_MODULE = "lib/*/site-packages/beta/__init__.py"
_BYTECODE = "lib/*/site-packages/beta/__pycache__/__init__.*.pyc"
_FAULTS: dict[str, Callable[[Tools, Prefix], None]] = {
    "module": _in(_MODULE, _edit),
    "bytecode": _in(_BYTECODE, _edit),
    "script": _in("bin/*", _edit),
    "record": _in("lib/*/site-packages/beta-*/RECORD", _edit),
    "conda's record": _in("conda-meta/*.json", _edit),
    "gone": _in(_MODULE, Path.unlink),
    "mode": _in(_MODULE, _other_mode),
    "attribute": _in(_MODULE, _attribute),
    **{
        each.__name__: each
        for each in (
            _lead_elsewhere,
            _add_to_the_list,
            _change_the_note,
            _lose_the_key,
            _remove,
            _interrupt,
            _lose_the_list,
        )
    },
}


_IN_ITS_FILES = ("module", "bytecode", "script", "record", "conda's record", "mode", "attribute")


@pytest.mark.parametrize("fault", [_FAULTS[each] for each in _IN_ITS_FILES], ids=_IN_ITS_FILES)
def test_and_so_is_one_of_other_packages(
    first: tuple[Tools, Prefix], sample_lock: Lock, fault: Callable[[Tools, Prefix], None]
) -> None:
    tools, one = first
    lock = replace(
        sample_lock, packages=tuple(e for e in sample_lock.packages if e.name != "alpha")
    )
    before = _same_everywhere(one)
    fault(tools, one)

    two, steps, _ = _prefix(lock, tools, "two")

    assert _MADE not in steps
    found = _same_everywhere(two)
    assert found == {path: what for path, what in before.items() if path in found}


@pytest.mark.parametrize("fault", _FAULTS.values(), ids=_FAULTS)
def test_where_one_thing_is_not_as_it_was_sealed_the_prefix_is_built_of_its_packages(
    first: tuple[Tools, Prefix], sample_lock: Lock, fault: Callable[[Tools, Prefix], None]
) -> None:
    tools, one = first
    before = _same_everywhere(one)
    fault(tools, one)

    two, steps, _ = _prefix(sample_lock, tools, "two")

    assert _MADE not in steps
    assert _same_everywhere(two) == before


def _same_everywhere(prefix: Prefix) -> dict[str, str]:
    """Return what is in the files of a prefix that neither name it nor state the hash of one.

    Their modes are those of the files in the installers' caches.
    """
    files = list_prefix(prefix.path).files
    naming = {each for each in files if bytes(prefix.path) in _content(prefix.path / each)}
    return {
        path: what.partition(" ")[2]
        for path, what in files.items()
        if path not in naming
        and not path.startswith("conda-meta/")
        and not path.endswith("/RECORD")
        and getattr(parse_bytecode(path), "source", path) not in naming
    }


def test_a_file_that_is_added_to_the_earlier_one_is_not_taken(
    first: tuple[Tools, Prefix], sample_lock: Lock
) -> None:
    tools, one = first
    (one.site_packages / "added.py").write_bytes(b"added = True\n")
    two, steps, _ = _prefix(sample_lock, tools, "two")
    assert steps == (_MADE,)
    assert not (two.site_packages / "added.py").exists()
