from __future__ import annotations

import pytest

from elt_env.errors import Fact
from elt_env.lock.facts import _is_part, _newness, _without_labels


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


@pytest.mark.parametrize(
    ("which", "others", "is_part"),
    [
        (">=0.11", [">=0.10.1", ">=0.11"], True),
        (">=0.10.1", [">=0.10.1", ">=0.11"], False),
        ("==0.12", [">=0.10.1"], True),
        ("==0.12", ["<=0.13"], True),
        (">=0.11", ["<=0.13", ">=0.10,<0.12", "==0.11"], False),
        (">=0.11", [""], True),
        (">=0.11,<0.12", [">=0.10"], False),
    ],
)
def test_what_a_wider_range_says_is_not_said_again(
    which: str,
    others: list[str],
    is_part: bool,  # noqa: FBT001
) -> None:
    facts = [Fact(f"a {each}", "a", "b", "<1", "pip", which=each) for each in (which, *others)]
    assert _is_part(facts[0], facts) is is_part
