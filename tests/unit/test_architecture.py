"""The page on the architecture names files that are there, and every layer."""

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


def test_every_layer_is_on_the_page() -> None:
    layers = {
        each.name for each in (_ROOT / "elt_env").iterdir() if (each / "__init__.py").exists()
    }
    assert layers == set(re.findall(r"^\| `elt_env/([a-z]+)/` \|", _PAGE, re.MULTILINE))
