"""The search for garbage is put off, and goes on afterwards as it was."""

from __future__ import annotations

import contextlib
import gc

import pytest

from elt_env.runtime.collection import without_collection


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_afterwards_as_it_was_whatever_happens(*, enabled: bool) -> None:
    before = gc.isenabled()
    (gc.enable if enabled else gc.disable)()
    try:
        with contextlib.suppress(ValueError), without_collection():
            assert not gc.isenabled()
            raise ValueError
        assert gc.isenabled() is enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_what_was_made_in_it_is_searched_no_more() -> None:
    try:
        with without_collection():
            made = [[]]  # type: ignore[var-annotated]
        assert not any(each is made for each in gc.get_objects())
    finally:
        gc.unfreeze()
    assert any(each is made for each in gc.get_objects())
