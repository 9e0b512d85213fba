"""Each resolver in turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.index_server import IndexServer
from tests.support.resolving import RESOLVERS, Shelf


@pytest.fixture(params=RESOLVERS)
def shelf(index: IndexServer, tmp_path: Path, request: pytest.FixtureRequest) -> Shelf:
    """An index with nothing on it, and one of the resolvers."""
    return Shelf(index, tmp_path / "shelf", request.param)
