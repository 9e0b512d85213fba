"""Each resolver in turn."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from elt_env.lock.comparison import RESOLVERS
from tests.support.index_server import IndexServer
from tests.support.installed_tools import installed_tool
from tests.support.resolving import Shelf

_OWN = ("uv", "pip")
_OF_OTHERS = [pytest.mark.registry, pytest.mark.slow]


@pytest.fixture(
    params=[pytest.param(each, marks=() if each in _OWN else _OF_OTHERS) for each in RESOLVERS]
)
def shelf(
    index: IndexServer,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Shelf:
    """An index with nothing on it, and one of the resolvers."""
    if request.param not in _OWN:
        programs = installed_tool("resolvers") / "bin"
        monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    return Shelf(index, tmp_path / "shelf", request.param)
