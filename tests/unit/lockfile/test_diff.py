from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from packaging.version import Version

from elt_env.lockfile.changes import Kind, Level, compare, count, is_older, level
from elt_env.lockfile.document import Lock, Package
from tests.support.locks import (
    MOMENT,
    conda_package,
    lock_of,
    locks,
    pip_package,
    python_package,
    sdist_package,
    versions,
)

_OPPOSITE: dict[Kind, Kind] = {
    "added": "removed",
    "removed": "added",
    "upgraded": "downgraded",
    "downgraded": "upgraded",
    "rebuilt": "rebuilt",
    "moved": "moved",
}


@given(locks())
def test_a_lock_does_not_differ_from_itself(lock: Lock) -> None:
    assert compare(lock, lock) == ()


@given(locks())
def test_from_no_lock_everything_is_added(lock: Lock) -> None:
    changes = compare(None, lock)
    assert {each.kind for each in changes} == {"added"}
    assert Counter(each.new for each in changes) == Counter(lock.packages)


@given(locks(), locks())
def test_the_way_back_is_the_opposite(old: Lock, new: Lock) -> None:
    there = Counter((_OPPOSITE[each.kind], each.new, each.old) for each in compare(old, new))
    back = Counter((each.kind, each.old, each.new) for each in compare(new, old))
    assert there == back


@given(locks(), locks())
def test_every_package_that_differs_is_in_one_change(old: Lock, new: Lock) -> None:
    changes = compare(old, new)
    gone = Counter(each.old for each in changes if each.old)
    come = Counter(each.new for each in changes if each.new)
    before, after = Counter(map(_bytes, old.packages)), Counter(map(_bytes, new.packages))
    assert before - after == Counter(map(_bytes, gone))
    assert after - before == Counter(map(_bytes, come))
    assert [each.name for each in changes] == sorted(each.name for each in changes)


def _bytes(package: Package) -> tuple[str, str, str, str]:
    return package.manager, package.name, package.version, package.sha256


@given(locks(), locks())
def test_the_numbers_add_up(old: Lock, new: Lock) -> None:
    changes = compare(old, new)
    assert sum(map(int, re.findall(r"\d+", count(changes)))) == len(changes)


def _kinds(old: Lock, new: Lock) -> list[tuple[str, Kind]]:
    return [(each.name, each.kind) for each in compare(old, new)]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        (pip_package(version="1.9"), pip_package(version="1.10"), "upgraded"),
        (pip_package(version="2.0"), pip_package(version="2.0rc1"), "downgraded"),
        (conda_package(version="9d"), conda_package(version="9e"), "upgraded"),
        (conda_package(version="1.1.1w"), conda_package(version="1.1.1"), "downgraded"),
        (pip_package(version="1.0"), pip_package(version="1.0.0"), "rebuilt"),
        (conda_package(), conda_package(sha256="0" * 64, build="py311_1"), "rebuilt"),
        (pip_package(), sdist_package("alpha", "1.0"), None),
        (pip_package(), replace(pip_package(), sha256="0" * 64), "rebuilt"),
        (conda_package("alpha"), pip_package("alpha"), "moved"),
        (conda_package("alpha", "2.0"), pip_package("alpha", "1.0"), "moved"),
        (pip_package(requested=True), pip_package(requested=False), None),
    ],
)
def test_kinds_of_change(old: Package, new: Package, kind: Kind | None) -> None:
    expected = [(old.name, kind)] if kind else []
    assert _kinds(lock_of(old), lock_of(new)) == expected


def test_a_name_that_stands_in_both_halves_is_two_packages() -> None:
    library, binding = conda_package("duckdb", "1.5"), pip_package("duckdb", "2.0")
    both = lock_of(library, binding)
    assert _kinds(lock_of(library), both) == [("duckdb", "added")]
    assert _kinds(both, lock_of(binding)) == [("duckdb", "removed")]
    newer = lock_of(library, pip_package("duckdb", "2.1"))
    assert _kinds(both, newer) == [("duckdb", "upgraded")]
    assert compare(both, newer)[0].old == binding


def test_changes_are_counted_and_shown_by_sign() -> None:
    old = lock_of(
        python_package("3.11.7"),
        conda_package("openssl", "3.1", build="h1"),
        pip_package("dagster", "1.13.27"),
        pip_package("duckdb", "2.0.0"),
        pip_package("gone", "0.1"),
        pip_package("numpy", "2.0"),
    )
    new = lock_of(
        python_package("3.11.8"),
        conda_package("openssl", "3.1", build="h2", sha256="1" * 64),
        pip_package("dagster", "1.13.28"),
        pip_package("duckdb", "1.5.6"),
        pip_package("fresh", "7"),
        conda_package("numpy", "2.0"),
    )
    changes = compare(old, new)
    assert count(changes) == ("1 added, 1 removed, 2 upgraded, 1 downgraded, 1 rebuilt, 1 moved")
    assert [str(each) for each in changes] == [
        "^ dagster 1.13.27 → 1.13.28 (pip, upgraded)",
        "! duckdb 2.0.0 → 1.5.6 (pip, downgraded)",
        "+ fresh 7 (pip, added)",
        "- gone 0.1 (pip, removed)",
        "> numpy 2.0 from pip → 2.0 from conda (conda, moved)",
        "~ openssl 3.1 h1 → h2 (conda, rebuilt)",
        "^ python 3.11.7 → 3.11.8 (conda, upgraded)",
    ]


def test_no_change_is_said_in_words() -> None:
    assert count(()) == "no changes"


@given(locks(), locks())
def test_what_the_locks_tell_of_a_change_is_mirrored_on_the_way_back(old: Lock, new: Lock) -> None:
    there = {(each.old, each.new): each for each in compare(old, new)}
    for back in compare(new, old):
        change = there[back.new, back.old]
        assert change.level == back.level
        assert not (change.sinks and back.sinks)
        assert change.sinks or back.sinks or change.level is None
        sizes = change.size_change, back.size_change
        assert sizes == (None, None) or sum(each or 0 for each in sizes) == 0
        newer = change.kind in ("upgraded", "downgraded")
        assert newer == (change.level is not None) or change.kind == "moved"
        assert change.sinks == (change.kind == "downgraded") or change.kind == "moved"


@given(versions(), versions())
def test_a_level_is_that_of_the_first_number_that_differs(one: str, other: str) -> None:
    first, second = Version(one), Version(other)
    found = level(one, other)
    assert found == level(other, one)
    assert (found is None) == (first == second)
    assert (found == "major") == ((first.epoch, first.major) != (second.epoch, second.major))
    if found == "minor":
        assert first.minor != second.minor
    if found in ("pre", "other"):
        assert (first.major, first.minor, first.micro) == (second.major, second.minor, second.micro)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1.13.27", "1.13.28", "patch"),
        ("1.13", "1.13.0.1", "patch"),
        ("0.28.1", "0.29", "minor"),
        ("1.9", "2.0rc1", "major"),
        ("1.9", "1!0.1", "major"),
        ("2.0rc1", "2.0", "pre"),
        ("2.0.dev1", "2.0a1", "pre"),
        ("2.0", "2.0.post1", "other"),
        ("2.0+cpu", "2.0+cu12", "other"),
        ("2.0", "2.0.0", None),
        # Conda's own versions.
        ("2025b", "2025c", "other"),
        ("2024b", "2025a", "major"),
        ("9d", "9e", "other"),
        ("1.1.1w", "1.1.2a", "patch"),
        ("r9", "r10", "major"),
        ("2021.08.31_rc1", "2021.08.31_rc2", "other"),
        ("3.15.0rc2", "3.15.0", "pre"),
    ],
)
def test_levels(old: str, new: str, expected: Level | None) -> None:
    assert level(old, new) == level(new, old) == expected


def test_an_age_is_that_of_the_new_package_at_a_moment() -> None:
    new = pip_package(version="2.0", released_at=MOMENT - timedelta(days=4, hours=5))
    [change] = compare(lock_of(pip_package()), lock_of(new))
    assert change.age(MOMENT) == timedelta(days=4, hours=5)
    [back] = compare(lock_of(new), lock_of(pip_package(released_at=None)))
    assert back.age(MOMENT) is None
    [gone] = compare(lock_of(new), lock_of())
    assert gone.age(MOMENT) is None


def test_a_change_of_size_needs_both_sizes() -> None:
    small, large = pip_package(size=1_000), pip_package(version="2.0", size=3_500)
    [grown] = compare(lock_of(small), lock_of(large))
    assert grown.size_change == 2_500
    [added] = compare(lock_of(), lock_of(small))
    assert added.size_change == 1_000
    [unknown] = compare(lock_of(small), lock_of(pip_package(version="2.0")))
    assert unknown.size_change is None


def test_who_needs_a_package_is_told_by_the_newer_lock() -> None:
    before = pip_package(requested=True)
    after = pip_package(version="2.0", required_by=("beta",))
    [change] = compare(lock_of(before), lock_of(after))
    assert (change.direct, change.required_by) == (False, ("beta",))
    [removed] = compare(lock_of(before), lock_of())
    assert (removed.direct, removed.manager) == (True, "pip")


@pytest.mark.parametrize(
    ("old", "new", "shown"),
    [
        (pip_package(), replace(pip_package(), sha256="0" * 64), "1.0"),
        (pip_package(version="1.0"), pip_package(version="1.0.0"), "1.0 → 1.0.0"),
        (conda_package(), conda_package(sha256="0" * 64, build="h_1"), "1.0 py311_0 → h_1"),
        (conda_package("alpha"), pip_package(), "1.0 from conda → 1.0 from pip"),
    ],
)
def test_versions_are_shown_once_where_they_are_the_same(
    old: Package, new: Package, shown: str
) -> None:
    [change] = compare(lock_of(old), lock_of(new))
    assert change.versions == shown


@given(versions(), versions(), versions())
def test_older_is_a_strict_order_and_that_of_pep_440(one: str, two: str, three: str) -> None:
    assert is_older(one, two) == (Version(one) < Version(two))
    assert not is_older(one, one)
    for a, b, c in itertools.permutations([one, two, three]):
        assert not (is_older(a, b) and is_older(b, a))
        assert not is_older(a, b) or not is_older(b, c) or is_older(a, c)


@pytest.mark.parametrize(
    ("older", "newer"), [("9d", "9e"), ("1.1.1w", "1.1.2a"), ("2023c", "2024a"), ("r9", "r10")]
)
def test_versions_of_conda_are_compared_by_their_numbers_and_words(older: str, newer: str) -> None:
    assert is_older(older, newer)
    assert not is_older(newer, older)
