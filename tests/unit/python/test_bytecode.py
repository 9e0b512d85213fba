from __future__ import annotations

import importlib.util

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.environment.damage import Damage, compare_lists
from elt_env.python.bytecode import Bytecode, bytecode_path, is_cached, parse_bytecode

_NAMES = st.text("abc._-", min_size=1, max_size=6).filter(lambda name: name.strip("."))


@given(st.lists(_NAMES, max_size=3), _NAMES, st.sampled_from(["", "1", "2"]))
def test_names_are_those_of_the_interpreter(parents: list[str], name: str, level: str) -> None:
    source = "/".join([*parents, f"{name}.py"])
    tag = "cpython-311"
    plain = bytecode_path(source, tag)
    path = plain if not level else plain.replace(".pyc", f".opt-{level}.pyc")
    assert parse_bytecode(path) == Bytecode(source, tag, level)
    assert is_cached(path)
    assert not is_cached(source)
    if "." not in name:  # which the interpreter's own function takes for more than a name
        assert importlib.util.source_from_cache(path) == source
        own = importlib.util.cache_from_source(source, optimization=level)
        assert own.rpartition("/")[0] == path.rpartition("/")[0]


@pytest.mark.parametrize(
    "path",
    [
        "a.pyc",
        "lib/a.cpython-311.pyc",
        "__pycache__/a.pyc",
        "__pycache__/a.cpython-311.nbi",
        "a.py",
    ],
)
def test_other_files_are_no_bytecode(path: str) -> None:
    assert parse_bytecode(path) is None


@pytest.mark.parametrize(
    ("path", "cached"),
    [
        ("lib/__pycache__/a.cpython-311.pyc", True),
        ("__pycache__/a.func-1.py311.nbi", True),
        ("lib/a.pyc", False),
        ("lib/__pycache__", False),
        ("lib/my__pycache__/a.pyc", False),
    ],
)
def test_what_lies_below_a_cache_is_derived(path: str, cached: bool) -> None:  # noqa: FBT001  # pytest passes it
    assert is_cached(path) is cached
    (damage,) = compare_lists({path: "644 12"}, {path: "644 13"})
    assert damage == Damage("bytecode" if cached else "prefix", path, "was changed")
    assert damage.is_fault is not cached
