"""Fixtures of the tests of conda tools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from elt_env.conda import Linker, Solver
from elt_env.conda.program_tool import conda_tools
from tests.support.real_conda import installed_conda

_LIMIT = 120.0
_OTHERS = [each for each in ("mamba", "micromamba") if shutil.which(each)]


@pytest.fixture(
    params=["rattler", *(pytest.param(n, marks=pytest.mark.slow) for n in ("conda", *_OTHERS))]
)
def tools(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Solver, Linker]:
    """Each conda tool, with caches of this test's own."""
    name = request.param
    place = str(installed_conda(tmp_path / "home-of-conda").program()) if name == "conda" else name
    return conda_tools(place, tmp_path / "cache", None, _LIMIT)


@pytest.fixture
def conda(tools: tuple[Solver, Linker]) -> Solver:
    """Its solver."""
    return tools[0]


@pytest.fixture
def linker(tools: tuple[Solver, Linker]) -> Linker:
    """Its linker."""
    return tools[1]
