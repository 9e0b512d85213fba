from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.index.page_cache import CachedPage, PageCache, visible
from elt_env.index.project_page import IndexFile, ProjectPage
from tests.support.locks import INDEX, MOMENT

_FILE = IndexFile("a-1.0.tar.gz", "1.0", "https://f.example.invalid/a", ">=3.9", "", MOMENT, 7)
_PAGE = ProjectPage("a", INDEX, (_FILE, IndexFile("a-2.0-py3-none-any.whl", "2.0", "u")))


def test_a_page_comes_back_as_it_was(tmp_path: Path) -> None:
    cache = PageCache(tmp_path)
    kept = CachedPage(_PAGE, '"1"', "Mon, 04 May 2026 03:02:01 GMT", "d")
    assert cache.read("a", INDEX) is None
    cache.write(kept)
    found = cache.read("a", INDEX)
    assert found == kept
    assert found.page.of("1.0") == (_FILE,)
    assert found.page.versions == _PAGE.versions == {"1.0", "2.0"}
    assert cache.read("a", INDEX + "/other") is None
    assert kept.conditions == {
        "If-None-Match": '"1"',
        "If-Modified-Since": "Mon, 04 May 2026 03:02:01 GMT",
    }


def test_a_page_without_validators_replaces_one_that_had_some(tmp_path: Path) -> None:
    cache, bare = PageCache(tmp_path), CachedPage(_PAGE, "", "", "d")
    cache.write(CachedPage(_PAGE, '"1"', "", "d"))
    cache.write(bare)
    assert cache.read("a", INDEX) == bare
    assert bare.conditions == {}


_HOURS = st.integers(-2, 2).map(lambda hours: MOMENT + hours * timedelta(hours=1))
_FILES = st.lists(
    st.builds(
        IndexFile,
        st.sampled_from(["a-1.0.tar.gz", "a-2.0.tar.gz"]),
        st.just("1.0"),
        st.just("u"),
        st.sampled_from([None, ">=3.9"]),
        st.sampled_from([None, "", MOMENT.isoformat()]),
        st.one_of(st.none(), _HOURS),
        sha256=st.sampled_from(["0" * 64, "1" * 64]),
    ),
    max_size=2,
)


@given(one=_FILES, other=_FILES, limits=st.tuples(_HOURS, _HOURS))
def test_what_is_visible_of_a_page_is_what_the_cool_down_lets_through(
    one: list[IndexFile],
    other: list[IndexFile],
    limits: tuple[datetime, datetime],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    cache = PageCache(tmp_path_factory.getbasetemp() / "visible")
    seen, digests = [], []
    for files, limit in zip((one, other), limits, strict=True):
        page = ProjectPage("a", INDEX, tuple(files))
        cache.write(CachedPage(page, "", "", "d"))
        kept = cache.read("a", INDEX)
        assert kept is not None
        seen.append([each for each in files if not each.uploaded or each.uploaded < limit])
        digests.append(visible(page, limit))
        assert visible(kept.page, limit) == digests[-1]
    assert (digests[0] == digests[1]) == (seen[0] == seen[1])


def test_what_is_left_out_of_a_page_is_visible_and_what_has_no_hash_never_the_same() -> None:
    whole = replace(_PAGE, files=(replace(_FILE, sha256="0" * 64),))
    assert visible(whole, None) == visible(whole, MOMENT + timedelta(seconds=1))
    assert len({visible(whole, None), visible(replace(whole, others="x"), None), None}) == 3
    assert visible(whole, MOMENT) == visible(replace(whole, files=()), None)
    assert visible(_PAGE, None) is None


@given(data=st.data())
def test_a_damaged_page_is_another_page_or_none(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.getbasetemp() / "damaged"
    cache = PageCache(root)
    cache.write(CachedPage(_PAGE, '"1"', "", "d"))
    (path,) = root.iterdir()
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole) - 1))
    path.write_bytes(whole[:cut] + data.draw(st.binary(max_size=3)) + whole[cut + 1 :])
    found = cache.read("a", INDEX)
    assert found is None or found.page == _PAGE
