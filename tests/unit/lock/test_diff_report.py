from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given

from elt_env.lock.diff_report import (
    DiffReport,
    Waiting,
    counts,
    explained,
    parse,
    to_json,
    with_yanks,
)
from elt_env.lockfile.changes import compare
from elt_env.lockfile.document import Lock, Package
from tests.support.locks import (
    MOMENT,
    conda_package,
    lock_of,
    locks,
    pip_package,
    python_package,
)


def _report(old: Lock | None, new: Lock) -> DiffReport:
    changes = tuple(explained(each, new.locked_at) for each in compare(old, new))
    return DiffReport(
        new.target.name, old.digest if old else None, new.digest, new.locked_at, changes
    )


def _between(*packages: tuple[Package, Package]) -> DiffReport:
    old, new = (tuple(pair[side] for pair in packages) for side in (0, 1))
    return _report(lock_of(*old), lock_of(*new))


@given(locks(), locks())
def test_a_report_is_read_as_it_was_written_in_its_one_order(old: Lock, new: Lock) -> None:
    report = _report(old, new)
    assert parse(json.dumps(to_json(report))) == report
    assert replace(report, changes=report.changes[::-1]) == report


@given(locks(), locks())
def test_the_numbers_of_a_report_add_up(old: Lock, new: Lock) -> None:
    report = _report(old, new)
    numbers = counts(report)
    kinds = ("added", "removed", "upgraded", "downgraded", "rebuilt", "moved")
    assert numbers["all"] == len(report.changes) == sum(numbers[each] for each in kinds)
    assert numbers["major"] == report.majors
    assert report.downgrades >= numbers["downgraded"]
    known = [each.size_change for each in report.changes if each.size_change is not None]
    assert report.size_change == (sum(known) if known or not report.changes else None)


def test_what_weighs_most_comes_first() -> None:
    report = _between(
        (pip_package("asked"), pip_package("asked", "1.0.1", requested=True)),
        (pip_package("big"), pip_package("big", "2.0")),
        (pip_package("needed"), pip_package("needed", "1.0.1")),
        (pip_package("sunk", "2.0"), pip_package("sunk", "1.9")),
        (conda_package("same"), conda_package("same", sha256="0" * 64, requested=True)),
        (pip_package("taken-back"), pip_package("taken-back", "1.0.1")),
    )
    yanked = tuple(
        with_yanks(each, None, "broken") if each.name == "taken-back" else each
        for each in report.changes
    )
    report = replace(report, changes=yanked)
    order = ["sunk", "taken-back", "big", "asked", "needed", "same"]
    assert [each.name for each in report.changes] == order
    assert (report.downgrades, report.majors, report.yanked) == (1, 2, 1)


def test_the_json_has_its_keys() -> None:
    waiting = Waiting("beta", "pip", "1.0", "1.1", MOMENT, MOMENT + timedelta(days=3))
    small = pip_package(size=1_000)
    new = pip_package(
        *("alpha", "2.0"),
        size=1_500,
        required_by=("beta",),
        released_at=MOMENT - timedelta(days=2, hours=3),
    )
    report = replace(_between((small, new)), held_back=(waiting,), notes=("a note",))
    [change] = report.changes
    change = replace(change, skipped=("1.1", "1.2"), changelog="https://project.example.invalid")
    report = replace(report, changes=(with_yanks(change, "", None),))
    assert to_json(report) == {
        "schema": 1,
        "target": "elt@3.11",
        "old": report.old,
        "new": report.new,
        "at": "2026-05-04T03:02:01Z",
        "changes": [
            {
                "name": "alpha",
                "kind": "upgraded",
                "manager": "pip",
                "direct": False,
                "required_by": ["beta"],
                "level": "major",
                "downgraded": False,
                "old": {
                    "manager": "pip",
                    "version": "1.0",
                    "build": None,
                    "size": 1000,
                    "released_at": "2025-05-04T03:02:01Z",
                    "yanked": "",
                },
                "new": {
                    "manager": "pip",
                    "version": "2.0",
                    "build": None,
                    "size": 1500,
                    "released_at": "2026-05-02T00:02:01Z",
                    "yanked": None,
                },
                "age_days": 2,
                "size_change": 500,
                "skipped": ["1.1", "1.2"],
                "changelog": "https://project.example.invalid",
            }
        ],
        "held_back": [
            {
                "name": "beta",
                "manager": "pip",
                "locked": "1.0",
                "newer": "1.1",
                "released_at": "2026-05-04T03:02:01Z",
                "eligible_at": "2026-05-07T03:02:01Z",
            }
        ],
        "notes": ["a note"],
        "sources": [],
        "startup": [],
        "counts": {
            **dict.fromkeys(("all", "upgraded", "major"), 1),
            **dict.fromkeys(("added", "removed", "downgraded", "rebuilt", "moved"), 0),
            **dict.fromkeys(("minor", "patch", "pre", "other", "yanked"), 0),
        },
        "size_change": 500,
    }


def test_a_package_made_after_its_lock_is_not_of_a_negative_age() -> None:
    late = python_package("3.11.9")
    report = _between((python_package(), replace(late, released_at=MOMENT + timedelta(days=1))))
    assert [each.age_days for each in report.changes] == [0]


def test_a_move_to_an_older_version_is_a_downgrade_too() -> None:
    report = _between((conda_package("alpha", "2.0"), pip_package("alpha", "1.0")))
    assert (report.changes[0].kind, report.downgrades) == ("moved", 1)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"target": 1}', "\xff"])
def test_what_is_no_report_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match="validation error"):
        parse(text)
