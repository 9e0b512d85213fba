from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.index.page_cache import CachedPage, PageCache
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
