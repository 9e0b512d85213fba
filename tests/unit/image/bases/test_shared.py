"""A base that another project has made is taken as it was made, and not for long."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from elt_env.image.bases.base import Base, SharedBases
from elt_env.image.oci.layout import Layout
from elt_env.project.cache_home import CacheHome, sealed
from tests.support.bases import damage, make_layer

_NAME = "0123456789ab"
_DAY = 86400.0


@pytest.fixture
def caches(tmp_path: Path) -> CacheHome:
    return CacheHome(tmp_path / "cache", tmp_path / "key", shared=True)


@pytest.fixture
def base(caches: CacheHome, tmp_path: Path) -> Base:
    """A base that one project has made and shared."""
    layout = Layout(tmp_path / "first")
    made = Base("debian", "said", (make_layer(layout, {"etc/passwd": b"x" * 100}),))
    SharedBases(caches).keep(_NAME, made, layout)
    return made


def _take(caches: CacheHome, place: Path) -> Base | None:
    return SharedBases(caches).take(_NAME, Layout(place / "second"))


def test_it_comes_with_its_blobs(caches: CacheHome, base: Base, tmp_path: Path) -> None:
    assert _take(caches, tmp_path) == base
    blob = base.layers[0].blob
    assert Layout(tmp_path / "second").intact(blob)
    # A copy: what happens in one layout happens to no other.
    assert Layout(tmp_path / "second").blob_path(blob.digest).stat().st_nlink == 1


def _record(caches: CacheHome) -> Path:
    return caches.path / "bases" / _NAME


def _blob(caches: CacheHome) -> Path:
    (blob,) = (caches.path / "bases/blobs/sha256").iterdir()
    return blob


def _change_the_record(caches: CacheHome) -> None:
    damage(_record(caches))


def _sign_with_another_key(caches: CacheHome) -> None:
    entry = _record(caches).read_bytes()
    _record(caches).write_bytes(sealed(_NAME, entry[32:], b"another"))


def _give_it_another_name(caches: CacheHome) -> None:
    entry = _record(caches).read_bytes()
    _record(caches).write_bytes(sealed("another", entry[32:], caches.secret()))


def _let_the_key_be_empty(caches: CacheHome) -> None:
    entry = _record(caches).read_bytes()
    caches.key.write_bytes(b"")
    _record(caches).write_bytes(sealed(_NAME, entry[32:], b""))


def _lose_the_key(caches: CacheHome) -> None:
    caches.key.unlink()


def _change_a_blob(caches: CacheHome) -> None:
    damage(_blob(caches))


def _lose_a_blob(caches: CacheHome) -> None:
    _blob(caches).unlink()


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize(
    "fault",
    [
        _change_the_record,
        _sign_with_another_key,
        _give_it_another_name,
        _let_the_key_be_empty,
        _lose_the_key,
        _change_a_blob,
        _lose_a_blob,
    ],
)
def test_what_was_forged_or_damaged_is_not_taken(
    fault: Callable[[CacheHome], None], caches: CacheHome, tmp_path: Path
) -> None:
    fault(caches)
    assert _take(caches, tmp_path) is None


@pytest.mark.usefixtures("base")
@pytest.mark.parametrize(("days", "taken"), [(6, True), (8, False), (-1, False)])
def test_it_is_taken_for_a_week(
    caches: CacheHome,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    taken: bool,  # noqa: FBT001
) -> None:
    now = time.time() + days * _DAY
    monkeypatch.setattr(time, "time", lambda: now)
    assert (_take(caches, tmp_path) is not None) == taken


def test_a_cache_that_cannot_be_written_holds_nobody_back(tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    caches = CacheHome(tmp_path / "cache", tmp_path / "key", shared=True)
    layout = Layout(tmp_path / "first")
    made = Base("debian", "said", (make_layer(layout, {"a": b"b"}),))
    SharedBases(caches).keep(_NAME, made, layout)
    assert _take(caches, tmp_path) is None
