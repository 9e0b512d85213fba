"""Every test that docs/security.md names is there, and is one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_TEXT = (_ROOT / "docs" / "security.md").read_text(encoding="utf-8")
_NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", _TEXT)))


@pytest.mark.parametrize(("path", "name"), _NAMED)
def test_a_test_that_is_named_is_there(path: str, name: str) -> None:
    tree = ast.parse((_ROOT / path).read_text(encoding="utf-8"))
    assert name.startswith("test_")
    assert name in {each.name for each in tree.body if isinstance(each, ast.FunctionDef)}


def test_whatever_looks_like_a_test_is_named_in_full() -> None:
    assert set(re.findall(r"\btest_\w+", _TEXT)) == {
        part for path, name in _NAMED for part in (Path(path).stem, name)
    }


def test_every_file_of_the_probe_list_shows_something() -> None:
    probes = {
        f"tests/adversarial/{each.name}" for each in _ROOT.glob("tests/adversarial/test_*.py")
    }
    assert probes <= {path for path, _ in _NAMED}


def test_every_row_of_a_promise_names_a_test() -> None:
    rows = [line for line in _TEXT.splitlines() if line.startswith("| ")]
    promises = [each for each in rows if not each.startswith(("| promise", "| ---"))]
    assert len(promises) > 20
    assert [each for each in promises if "::" not in each] == []


def test_against_each_of_them_something_is_said_and_left_out() -> None:
    sections = re.split(r"^## ", _TEXT, flags=re.MULTILINE)[1:]
    assert [each.splitlines()[0] for each in sections] == [
        "An accident",
        "A colleague's mistake",
        "A malicious package",
        "A malicious index, channel or network",
        "Someone with write access to the cache",
        "Someone with write access to the store",
        "Someone with write access to the machine",
    ]
