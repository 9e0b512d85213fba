from __future__ import annotations

import pytest
from packaging.requirements import Requirement

from elt_env.spec.markers import applies


@pytest.mark.parametrize(
    ("marker", "expected"),
    [
        ("python_version >= '3.11'", True),
        ("python_version < '3.11'", False),
        ("python_full_version >= '3.11.7'", True),
        ("python_full_version > '3.11.7'", False),
        ("extra == 'test'", False),
        ("python_version == '3.9' or extra == 'test'", False),
        ("sys_platform == 'no-such-platform'", False),
        ("implementation_name == 'cpython'", True),
    ],
)
def test_a_marker_is_answered_for_the_python_of_the_lock(marker: str, *, expected: bool) -> None:
    assert applies(Requirement(f"alpha; {marker}"), "3.11.7") is expected


def test_without_a_marker_a_requirement_always_counts() -> None:
    assert applies(Requirement("alpha[x]>=1"), "3.9.0")
