from __future__ import annotations

import pytest

from elt_env.lock.facts import _newness, _without_labels


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


def test_what_is_newest_counts_first_and_old_ranges_last() -> None:
    ranges = ["<=0.16.13", "==0.29.26", ">=0.29.27", ">=0.5,<0.20", "no version"]
    assert sorted(ranges, key=_newness, reverse=True) == [
        ">=0.29.27",
        "no version",
        "==0.29.26",
        ">=0.5,<0.20",
        "<=0.16.13",
    ]
