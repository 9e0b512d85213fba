"""Who needs whom, and what nothing needs."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement

from elt_env.lock.adopt_needs import Needs, roots_of, with_needy
from elt_env.lockfile.document import Package

_NAMES = st.sampled_from("abcdefg")


def _package(name: str, *needy: str, version: str = "1.0") -> Package:
    url = f"https://index.invalid/{name}-{version}-py3-none-any.whl"
    return Package("pip", name, version, url, "0" * 64, required_by=needy)


def _needs(requires: Mapping[str, list[str]], **extras: str) -> Needs:
    return Needs(
        "3.11.7",
        {name: tuple(map(Requirement, lines)) for name, lines in requires.items()},
        {name: frozenset([each]) for name, each in extras.items()},
    )


@given(st.dictionaries(_NAMES, st.sets(_NAMES), min_size=1))
def test_everything_is_reached_from_the_roots_and_none_of_them_is_needed(
    needy: dict[str, set[str]],
) -> None:
    packages = [_package(name, *(some - {name})) for name, some in needy.items()]
    roots = roots_of(packages)
    needs = {
        name: {other for other, some in needy.items() if name in some and other != name}
        for name in needy
    }

    def reached_from(*names: str) -> set[str]:
        found, todo = set[str](), list(names)
        while todo:
            name = todo.pop()
            if name not in found:
                found.add(name)
                todo += needs[name]
        return found

    assert reached_from(*roots) == needy.keys()
    for each in roots:
        assert each not in reached_from(*(set(roots) - {each}))


def test_a_root_of_a_circle_is_its_first() -> None:
    packages = [_package("b", "c"), _package("c", "b"), _package("d", "b"), _package("e")]
    assert roots_of(packages) == ("b", "e")


@pytest.mark.parametrize(
    ("extra", "expected"), [("cron", {"tab": frozenset({"log"})}), ("other", {})]
)
def test_an_extra_counts_where_it_is_asked_for(extra: str, expected: object) -> None:
    needs = _needs({"log": ["tab; extra == 'cron'"], "tab": []}, log=extra)
    assert needs.needy() == expected


def test_an_extra_of_an_extra_counts() -> None:
    needs = _needs(
        {"log": ["log[more]; extra == 'all'", "tab; extra == 'more'"], "tab": []}, log="all"
    )
    assert needs.needy()["tab"] == frozenset({"log"})


def test_markers_of_other_machines_and_pythons_do_not_count() -> None:
    needs = _needs(
        {
            "redis": ["async-timeout; python_full_version < '3.11.3'"],
            "click": ["colorama; sys_platform == 'win32'"],
        }
    )
    assert needs.needy() == {}


def test_what_does_not_hold_is_said() -> None:
    needs = _needs({"dbt": ["Click>=8", "agate", "six<2"]})
    assert [*needs.unmet({"dbt": "1", "click": "7.0", "six": "1.9rc1"})] == [
        "dbt needs Click>=8, and 7.0 is there",
        "dbt needs agate, which is not there",
    ]


def test_who_needs_a_distribution_needs_the_package_that_owns_it() -> None:
    (found,) = with_needy([_package("click", "other")], {"click": frozenset({"dbt"})})
    assert found.required_by == ("dbt", "other")
