from __future__ import annotations

import itertools
import re
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from packaging.version import Version

from elt_env.model.diff import Kind, compare, count, is_older, to_markdown
from elt_env.model.lock import Lock, Package
from tests.support.locks import (
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
    assert len(to_markdown(changes).splitlines()) == (len(changes) + 4 if changes else 1)


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
        "~ openssl 3.1 h1 → 3.1 h2 (conda, rebuilt)",
        "^ python 3.11.7 → 3.11.8 (conda, upgraded)",
    ]
    shown = to_markdown(changes).splitlines()
    assert shown[2] == "```diff"
    assert [line for line in shown if line.startswith("-")] == [
        "- duckdb 2.0.0 → 1.5.6 (pip, downgraded)",
        "- gone 0.1 (pip, removed)",
    ]


def test_no_change_is_said_in_words() -> None:
    assert count(()) == "no changes"
    assert to_markdown(()) == "No changes."


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
