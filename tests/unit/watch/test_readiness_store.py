"""Records of readiness on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from elt_env.errors import IntegrityError
from elt_env.store.local import LocalDocuments
from elt_env.watch.readiness import Blocker, Look, judge
from elt_env.watch.store import ReadinessStore
from tests.support.locks import MOMENT

BLOCKER = Blocker("pin", ("top", "mid <2"), "top pins mid")
KNOWN = judge(None, "elt", "3.13", Look("locked", (BLOCKER,), "sha256:1", "3.13.1"), MOMENT)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    store = ReadinessStore(LocalDocuments(tmp_path))
    assert store.read("elt", "3.13") is None
    assert store.all("elt") == ()
    old = replace(KNOWN, python="3.9")
    for each in (KNOWN, old):
        store.write(each)
    assert store.read("elt", "3.13") == KNOWN
    assert store.all("elt") == (old, KNOWN)
    assert store.pythons("elt") == ("3.9", "3.13")
    assert store.all("other") == ()
    assert (tmp_path / "readiness/elt/3.13.json").is_file()


def test_a_record_that_is_none_says_which(tmp_path: Path) -> None:
    store = ReadinessStore(LocalDocuments(tmp_path))
    store.write(KNOWN)
    path = tmp_path / "readiness/elt/3.13.json"
    path.write_text("{}")
    with pytest.raises(IntegrityError, match=str(path)):
        store.all("elt")
