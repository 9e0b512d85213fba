"""Fixtures of the tests of conda tools."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from elt_env.conda.program_tool import ProgramTool
from elt_env.conda.programs import find_program
from elt_env.conda.rattler_tool import Rattler
from tests.support.real_conda import installed_conda

_LIMIT = 120.0
_OTHERS = [each for each in ("mamba", "micromamba") if shutil.which(each)]


@pytest.fixture(
    params=["rattler", *(pytest.param(n, marks=pytest.mark.slow) for n in ("conda", *_OTHERS))]
)
def conda(request: pytest.FixtureRequest, tmp_path: Path) -> Rattler:
    """Each conda tool, with caches of this test's own."""
    cache = tmp_path / "cache"
    if request.param == "rattler":
        return Rattler(cache, None, _LIMIT)
    name = request.param
    place = str(installed_conda(tmp_path / "home-of-conda").program()) if name == "conda" else name
    return ProgramTool(find_program(place, _LIMIT), cache, None, _LIMIT)
