from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.package.names import normalize


@pytest.mark.parametrize("name", ["Python_DateUtil", "python.dateutil", "PYTHON--_.dateutil"])
def test_spellings_of_a_name_are_one(name: str) -> None:
    assert normalize(name) == "python-dateutil"


@given(st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,8}[A-Za-z0-9])?", fullmatch=True))
def test_a_normalized_name_stays_as_it_is(name: str) -> None:
    assert normalize(normalize(name)) == normalize(name)
