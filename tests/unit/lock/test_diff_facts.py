from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version

from elt_env.index.project_page import IndexFile, ProjectPage
from elt_env.lock.diff_facts import changelog, offered_versions, skipped
from elt_env.lockfile.changes import is_older
from tests.support.locks import INDEX, versions

_LINK = "https://project.example.invalid/news"


def _page(**yanked: str | None) -> ProjectPage:
    files = [
        IndexFile(f"alpha-{version}-py3-none-any.whl", version, f"{INDEX}/{version}", yanked=reason)
        for version, reason in yanked.items()
    ]
    return ProjectPage("alpha", INDEX, tuple(files))


@given(st.lists(versions(), max_size=8), versions(), versions())
def test_what_was_skipped_lies_strictly_between_and_is_final(
    offered: list[str], one: str, other: str
) -> None:
    found = skipped(offered, one, other)
    assert found == skipped(offered, other, one)
    low, high = sorted([Version(one), Version(other)])
    parsed = [Version(each) for each in found]
    assert parsed == sorted(parsed)
    assert all(low < each < high and not each.is_prerelease for each in parsed)
    between = {each for each in offered if low < Version(each) < high}
    assert {each for each in between if not Version(each).is_prerelease} == set(found)


@given(st.lists(st.sampled_from(["9d", "9e", "2024a", "2025b", "1.1.1w"]) | versions()), versions())
def test_what_was_skipped_of_conda_lies_between_as_well(offered: list[str], high: str) -> None:
    found = skipped(offered, "0", high)
    assert all(is_older("0", each) and is_older(each, high) for each in found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    ("offered", "old", "new", "expected"),
    [
        (["1.0", "1.1", "1.2", "2.0"], "1.0", "2.0", ("1.1", "1.2")),
        (["1.9", "1.10", "1.11rc1", "1.11.dev3", "2.0"], "1.8", "2.0", ("1.9", "1.10")),
        (["1.1", "1.0"], "2.0", "1.0", ("1.1",)),
        (["2024a", "2025a", "2025b", "2026a"], "2024a", "2026a", ("2025a", "2025b")),
        (["1.0.post1", "1.0"], "1.0", "1.1", ("1.0.post1",)),
        ([], "1.0", "2.0", ()),
    ],
)
def test_examples_of_what_was_skipped(
    offered: list[str], old: str, new: str, expected: tuple[str, ...]
) -> None:
    assert skipped(offered, old, new) == expected


def test_a_version_is_offered_where_a_file_of_it_is_not_yanked() -> None:
    page = _page(**{"1.0": None, "1.1": "broken", "1.2": "", "1.3": None})
    assert sorted(offered_versions(page)) == ["1.0", "1.3"]
    sdist = IndexFile("alpha-1.1.tar.gz", "1.1", f"{INDEX}/sdist")
    both = ProjectPage("alpha", INDEX, (*page.files, sdist))
    assert sorted(offered_versions(both)) == ["1.0", "1.1", "1.3"]


def test_an_offered_version_is_written_as_pep_440_writes_it() -> None:
    page = _page(**{"1.0-RC1": None, "1.0.0-1": None, "not-a-version": None})
    assert sorted(offered_versions(page)) == ["1.0.0.post1", "1.0rc1"]


@pytest.mark.parametrize(
    "label", ["Changelog", "Change_Log", "What's New?", "changes", "HISTORY", "Release notes"]
)
def test_a_changelog_is_known_by_its_label(label: str) -> None:
    fields = ["Homepage, https://project.example.invalid", f"{label}, {_LINK}"]
    assert changelog(fields) == _LINK


def test_the_comprehensive_changelog_comes_before_release_notes() -> None:
    notes = "Release Notes, https://project.example.invalid/notes"
    assert changelog([notes, f"Changes, {_LINK}"]) == _LINK


@pytest.mark.parametrize(
    "fields",
    [
        [],
        ["Homepage, https://project.example.invalid"],
        ["Changelog"],
        ["Changelog, javascript:alert(1)"],
        ["Changelog, file:///etc/passwd"],
        ["Changelog, https://"],
        ["Changelog, https://[project.example.invalid"],
        ["Changelog, https://project.example.invalid/a b"],
        ["Changelog, https://project.example.invalid/>)|<script>"],
        ["Changelog, https://project.example.invalid/\x1b[31m"],
        ["Changelog, https://project.example.invalid/" + "a" * 300],
    ],
)
def test_what_is_no_link_to_follow_is_no_changelog(fields: list[str]) -> None:
    assert changelog(fields) is None
