from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from elt_env.watch.newer_pythons import Offered, PythonRules, new_minors, new_patches
from tests.support.locks import MOMENT

_RULES = PythonRules("", MOMENT, timedelta(days=3), "hold")
_OLD = MOMENT - timedelta(days=30)


def _offered(*versions: str, at: datetime | None = _OLD) -> list[Offered]:
    return [Offered(each, at) for each in versions]


def test_only_newer_patches_of_the_minor_are_news() -> None:
    offered = _offered("3.10.19", "3.11.4", "3.11.5", "3.11.10", "3.11.9", "3.12.1", "3.1.11")
    found = new_patches("3.11.5", offered, _RULES)
    assert [str(each) for each in found] == ["python 3.11.5 → 3.11.10", "python 3.11.5 → 3.11.9"]
    assert all(each.usable for each in found)


@pytest.mark.parametrize(
    ("offered", "rules", "reason"),
    [
        (_offered("3.11.6rc1"), _RULES, "3.11.6rc1 is a pre-release"),
        (
            _offered("3.11.6"),
            replace(_RULES, bound="<3.11.6"),
            "3.11.6 is outside the spec's python <3.11.6",
        ),
        (
            _offered("3.11.6", at=MOMENT - timedelta(days=1)),
            _RULES,
            "3.11.6 is younger than the cool-down, until 2026-05-06 03:02 UTC",
        ),
        (
            _offered("3.11.6", at=None),
            _RULES,
            "3.11.6 has no date, and the policy holds such (undated-releases)",
        ),
        (_offered("3.11.6", at=None), replace(_RULES, undated="take"), ""),
        (_offered("3.11.6", at=MOMENT), replace(_RULES, cooldown=timedelta(0)), ""),
        (
            _offered("3.11.6", at=MOMENT - timedelta(days=3)),
            _RULES,
            "3.11.6 is younger than the cool-down, until 2026-05-04 03:02 UTC",
        ),
        (_offered("3.11.6", at=MOMENT - timedelta(days=3, milliseconds=1)), _RULES, ""),
        (_offered("3.11.6"), replace(_RULES, bound="=3.11|=3.12"), ""),
    ],
)
def test_a_patch_that_does_not_count_has_a_reason(
    offered: list[Offered], rules: PythonRules, reason: str
) -> None:
    (found,) = new_patches("3.11.5", offered, rules)
    assert (found.usable, found.reason) == (not reason, reason)


def test_a_version_is_as_old_as_its_first_build() -> None:
    builds = [*_offered("3.11.6", at=MOMENT), *_offered("3.11.6"), *_offered("3.11.6", at=None)]
    (found,) = new_patches("3.11.5", builds, _RULES)
    assert (found.usable, found.released_at) == (True, _OLD)


def test_what_is_no_version_is_passed_over() -> None:
    assert new_patches("3.11.5", _offered("nightly"), _RULES) == ()


def test_new_minors_come_after_the_newest_tracked_one() -> None:
    offered = [
        *_offered("3.9.1", "3.12.9", "3.13.0", "3.13.2"),
        *_offered("3.13.3", "3.14.0", at=MOMENT),
        *_offered("3.15.0a1"),
    ]
    found = new_minors(["3.9", "3.12", "3.11"], offered, _RULES)
    assert [(each.version, each.usable) for each in found] == [
        ("3.13.2", True),
        ("3.14.0", False),
        ("3.15.0a1", False),
    ]
    assert {each.locked for each in found} == {"3.12"}
