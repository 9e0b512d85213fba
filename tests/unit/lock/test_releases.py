from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from packaging.tags import parse_tag
from packaging.version import Version

from elt_env.index.project_page import IndexFile, KeptFiles, ProjectPage
from elt_env.lock.releases import News, Rules, gone, news, usable, yanked
from elt_env.lockfile.document import Package
from tests.support.locks import INDEX, MOMENT, pip_package, versions

_DAY = timedelta(days=1)
_RULES = Rules(
    spec="environments/elt.yml",
    requirements=("alphabet<1", "alpha<3", "other>=9"),
    python="3.11.7",
    platform="linux-64",
    tags=parse_tag("py3-none-any") | parse_tag("cp311-cp311-manylinux_2_17_x86_64"),
    now=MOMENT,
    cooldown=3 * _DAY,
)
_LOCKED = pip_package("alpha", "1.0")


def _wheel(version: str, tag: str = "py3-none-any", **changes: Any) -> IndexFile:
    file = IndexFile(f"alpha-{version}-{tag}.whl", version, "u", uploaded=MOMENT - 9 * _DAY)
    return replace(file, **changes)


def _sdist(version: str, **changes: Any) -> IndexFile:
    return _wheel(version, file_name=f"alpha-{version}.tar.gz", **changes)


def _page(*files: IndexFile) -> ProjectPage:
    return ProjectPage("alpha", INDEX, files)


def _only(*files: IndexFile, package: Package = _LOCKED, **rules: Any) -> News:
    (found,) = news(package, _page(*files), replace(_RULES, **rules))
    return found


def test_what_is_newer_and_usable() -> None:
    found = news(_LOCKED, _page(_wheel("1.1"), _wheel("0.9"), _wheel("2.0"), _wheel("1.0")), _RULES)
    assert [str(each) for each in found] == ["alpha 1.0 → 2.0", "alpha 1.0 → 1.1"]
    assert usable(found) == found
    assert found[0] == News("alpha", "1.0", "2.0", MOMENT - 9 * _DAY, usable=True)


def test_of_a_kept_page_no_older_file_is_read() -> None:
    files = {each.version: each for each in map(_wheel, ("0.8", "0.9", "1.0", "1.1"))}
    read: list[str] = []

    def parse(line: bytes) -> IndexFile:
        read.append(line.decode())
        return files[line.decode()]

    text = "".join(f"{n}\t{n}\n" for n in files).encode()
    page = ProjectPage("alpha", INDEX, KeptFiles(text, parse))
    locked = replace(_LOCKED, url=f"https://f.example.invalid/{files['1.0'].file_name}")
    assert [each.version for each in news(locked, page, _RULES)] == ["1.1"]
    assert yanked(locked, page) is None
    assert not gone(locked, page)
    assert set(read) == {"1.1", "1.0"}


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (_wheel("2.0rc1"), "2.0rc1 is a pre-release"),
        (_wheel("2.0.dev3"), "2.0.dev3 is a pre-release"),
        (_wheel("3.1"), "3.1 is outside <3 of environments/elt.yml"),
        (_wheel("2.0", yanked="it burns"), "2.0 was yanked: it burns"),
        (_wheel("2.0", yanked=""), "2.0 was yanked"),
        (_wheel("2.0", requires_python=">=3.12"), "2.0 needs Python >=3.12"),
        (_wheel("2.0", requires_python=">=3.8,<3.11"), "2.0 needs Python >=3.8,<3.11"),
        (_wheel("2.0", "cp312-abi3-any"), "2.0 has no wheel for linux-64 and CPython 3.11"),
        (_sdist("2.0"), "2.0 has no wheel for linux-64 and CPython 3.11"),
        (
            _wheel("2.0", uploaded=MOMENT - 1.5 * _DAY),
            "2.0 is 1 day old; eligible on 2026-05-05",
        ),
        (
            _wheel("2.0", uploaded=MOMENT - timedelta(hours=5)),
            "2.0 is 5 hours old; eligible on 2026-05-06",
        ),
        (
            _wheel("2.0", uploaded=MOMENT - 3 * _DAY),
            "2.0 is 3 days old; eligible on 2026-05-04",
        ),
        (
            _wheel("2.0", uploaded=MOMENT + _DAY),
            "2.0 is 0 hours old; eligible on 2026-05-08",
        ),
        (
            _wheel("2.0", uploaded=None),
            "2.0 has no upload time, and the policy holds such files (undated-releases)",
        ),
    ],
)
def test_why_a_release_does_not_count(file: IndexFile, reason: str) -> None:
    found = _only(file)
    assert (found.usable, found.reason) == (False, reason)
    assert (found.eligible_at is not None) == ("eligible" in reason)


def test_the_file_that_comes_furthest_decides() -> None:
    young = _wheel("2.0", "cp311-cp311-manylinux_2_17_x86_64", uploaded=MOMENT - _DAY)
    files = [_wheel("2.0", "cp39-cp39-win32"), young, _sdist("2.0"), _wheel("2.0", yanked="bad")]
    found = _only(*files)
    assert "1 day old" in found.reason
    assert found.eligible_at == MOMENT + 2 * _DAY
    assert found.released_at == MOMENT - 9 * _DAY
    older = _wheel("2.0", "py3-none-any", uploaded=MOMENT - 2 * _DAY)
    assert _only(*files, older).eligible_at == MOMENT + _DAY
    assert _only(*files, _wheel("2.0")).usable


@pytest.mark.parametrize(
    ("file", "rules"),
    [
        (_wheel("2.0rc1"), {"requirements": ("alpha>=1.0a1",)}),
        (_wheel("3.1"), {"requirements": ()}),
        (_wheel("3.1"), {"requirements": ('alpha<3; python_version < "3.9"',)}),
        (_wheel("3.1"), {"requirements": ("alpha[extra]>=1", "alpha!=3.0")}),
        (_wheel("2.0", requires_python=">=3.8,<3.12"), {}),
        (_wheel("2.0", requires_python="3.8 or so"), {}),
        (_wheel("2.0", "py2.py3-none-any"), {}),
        (_wheel("2.0", "cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64"), {}),
        (_sdist("2.0"), {"wheels_only": False}),
        (_sdist("2.0"), {"allow_sdist": ("alpha",)}),
        (_wheel("2.0", uploaded=MOMENT - 3 * _DAY - timedelta(microseconds=1)), {}),
        (_wheel("2.0", uploaded=MOMENT), {"not_held": ("alpha",)}),
        (_wheel("2.0", uploaded=MOMENT), {"cooldown": timedelta(0)}),
        (_wheel("2.0", uploaded=None), {"cooldown": timedelta(0)}),
        (_wheel("2.0", uploaded=None), {"undated": "take"}),
        (_wheel("2.0", uploaded=None), {"not_held": ("alpha",)}),
    ],
)
def test_what_the_rules_let_through(file: IndexFile, rules: dict[str, Any]) -> None:
    assert _only(file, **rules).reason == ""


def test_a_file_without_a_date_is_held_beside_one_that_will_be_old() -> None:
    found = _only(_sdist("2.0", uploaded=None), _wheel("2.0", uploaded=MOMENT), wheels_only=False)
    assert found.eligible_at == MOMENT + 3 * _DAY


def test_who_has_a_pre_release_wants_the_next() -> None:
    assert _only(_wheel("1.0rc2"), package=pip_package("alpha", "1.0rc1")).usable


def test_no_news() -> None:
    assert news(_LOCKED, _page(), _RULES) == ()
    assert news(_LOCKED, _page(_wheel("1.0"), _wheel("0.1"), _wheel("1")), _RULES) == ()


def test_a_yank_of_what_is_locked() -> None:
    assert yanked(_LOCKED, _page(_wheel("1.0"))) is None
    assert yanked(_LOCKED, _page(_sdist("1.0", yanked="x"), _wheel("1.0"))) is None
    assert yanked(_LOCKED, _page(_wheel("1.0", yanked="bad"))) == "bad"
    assert yanked(_LOCKED, _page(_wheel("1.0", yanked=""))) == ""
    assert yanked(_LOCKED, _page(_wheel("2.0", yanked=""))) is None


def test_what_is_locked_is_gone() -> None:
    assert not gone(_LOCKED, _page(_wheel("2.0"), _wheel("1.0")))
    assert gone(_LOCKED, _page(_wheel("2.0")))
    assert gone(_LOCKED, _page())
    assert gone(_LOCKED, None)
    quoted = pip_package("alpha", "1.0", url="https://f.example.invalid/alpha-1.0%2Bc.tar.gz")
    assert not gone(quoted, _page(_sdist("1.0+c")))


_FEW = st.sampled_from(["1", "1.0", "1.1", "1.2rc1", "1.2"])
_FILES = st.lists(
    st.builds(
        _wheel,
        versions() | _FEW,
        st.sampled_from(["py3-none-any", "cp311-cp311-win32", "cp39-cp39-any"]),
        yanked=st.sampled_from([None, None, "", "bad"]),
        requires_python=st.sampled_from([None, ">=3.9", "<3.11", ">=3.12"]),
        uploaded=st.sampled_from([None, MOMENT - _DAY, MOMENT - 3 * _DAY, MOMENT - 30 * _DAY]),
    ),
    max_size=12,
)
_BOUNDS = st.sampled_from(["", ">=1", "<2", "!=1.1", ">=1.0a1", "~=1.0"])


@given(_FILES, versions(), _BOUNDS)
def test_what_is_usable_breaks_no_rule(files: list[IndexFile], locked: str, bound: str) -> None:
    rules = replace(_RULES, requirements=(f"alpha{bound}",))
    found = news(pip_package("alpha", locked), _page(*files), rules)
    newer = [Version(each.version) for each in found]
    assert newer == sorted(set(newer), reverse=True)
    assert set(newer) == {v for v in (Version(f.version) for f in files) if v > Version(locked)}
    for each in found:
        assert bool(each.reason) != each.usable
        assert each.reason == "" or each.reason.startswith(f"{each.version} ")
    for each in usable(found):
        mine = [file for file in files if Version(file.version) == Version(each.version)]
        assert any(
            file.yanked is None
            and file.uploaded is not None
            and file.uploaded < MOMENT - rules.cooldown
            and SpecifierSet(file.requires_python or "").contains(rules.python)
            and "py3-none-any" in file.file_name
            for file in mine
        )
        assert SpecifierSet(bound).contains(each.version, prereleases=True)


@given(_FILES.flatmap(lambda files: st.tuples(st.just(files), st.permutations(files))), versions())
def test_the_order_of_a_page_makes_no_difference(
    files: tuple[list[IndexFile], list[IndexFile]], locked: str
) -> None:
    package = pip_package("alpha", locked)
    one, other = (news(package, _page(*each), _RULES) for each in files)
    assert one == other
