"""Names of lock files mean the same where specs and where locks are read."""

from __future__ import annotations

import pytest

from elt_env.errors import SpecError
from elt_env.lockfile.foreign.read import NAMES
from elt_env.spec.foreign.read import is_foreign, tell


@pytest.mark.parametrize("pattern", NAMES)
def test_a_lock_named_as_a_spec_is_to_be_adopted(pattern: str) -> None:
    name = pattern.replace("*", "")
    assert is_foreign(name)
    with pytest.raises(SpecError, match="is a lock"):
        tell("", name)
