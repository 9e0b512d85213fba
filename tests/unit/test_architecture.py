"""The page on the architecture names files that are there, and every room."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_PAGE = (_ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
_PLACES = ("", "elt_env")
_NAMED = sorted(set(re.findall(r"`([a-z_./]+(?:\.py|\.yml|/))`", _PAGE)))


@pytest.mark.parametrize("name", _NAMED)
def test_what_the_page_names_is_there(name: str) -> None:
    assert any((_ROOT / place / name).exists() for place in _PLACES)


def test_every_room_is_on_the_page() -> None:
    rooms = {each.parent.name for each in (_ROOT / "elt_env").glob("*/__init__.py")}
    cells = re.findall(r"^\| ((?:`[a-z.]+/?`(?:, )?)+) \|", _PAGE, re.MULTILINE)
    assert rooms == {name for each in cells for name in re.findall(r"`([a-z]+)/`", each)}
