from __future__ import annotations

import pytest

from elt_env.lock.facts import _without_labels


@pytest.mark.parametrize(
    ("which", "plain"),
    [
        ("", ""),
        ("==2.0+conda.a.1", "==2.0"),
        (">=2.0+conda.a.1,<=2.0+conda.a.2", "==2.0"),
        (">=2.0+conda.a.1,<=3.0+conda.a.4", ">=2.0,<=3.0"),
        (">=2.0+conda.a.1", ">=2.0"),
        (">=2.0,<3", ">=2.0,<3"),
    ],
)
def test_versions_are_told_without_what_the_resolver_sees(which: str, plain: str) -> None:
    assert _without_labels(which) == plain
