"""Caches are this user's alone, wherever they are; what is not counts as no place for them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from elt_env.project.cache_home import CacheHome, find_cache_home, make_private


def _find(place: Path, setting: str = "user", **environ: str) -> CacheHome:
    variables = {"HOME": str(place / "home"), **environ}
    return find_cache_home(setting, place / "project", place / "project/.elt_env", variables)


def _is_the_store_s(found: CacheHome, place: Path) -> bool:
    store = place / "project/.elt_env"
    return (found.path, found.key) == (store / "cache", store / "bytecode.key")


def test_all_projects_of_a_user_share_one_place(tmp_path: Path) -> None:
    found = _find(tmp_path)
    home = tmp_path / "home"
    assert found == CacheHome(
        home / ".cache/elt-env", home / ".local/state/elt-env/cache.key", shared=True
    )
    for each in (found.path, found.key.parent):
        assert each.stat().st_mode & 0o777 == 0o700


def test_the_variables_of_the_desktop_name_it(tmp_path: Path) -> None:
    named = {"XDG_CACHE_HOME": str(tmp_path / "c"), "XDG_STATE_HOME": str(tmp_path / "s")}
    found = _find(tmp_path, **named)
    assert (found.path, found.key.parent) == (tmp_path / "c/elt-env", tmp_path / "s/elt-env")
    relative = _find(tmp_path, XDG_CACHE_HOME="c")
    assert relative.path == tmp_path / "home/.cache/elt-env"


def test_the_policy_names_another_place(tmp_path: Path) -> None:
    assert _is_the_store_s(_find(tmp_path, "store"), tmp_path)
    assert _find(tmp_path, "caches").path == tmp_path / "project/caches"


def _let_others_write(place: Path) -> None:
    place.mkdir(parents=True)
    place.chmod(0o770)


def _let_it_be_a_file(place: Path) -> None:
    place.parent.mkdir(parents=True)
    place.touch()


@pytest.mark.parametrize("where", [".cache/elt-env", ".local/state/elt-env"])
@pytest.mark.parametrize(
    ("fault", "why"),
    [(_let_others_write, "can be written by others"), (_let_it_be_a_file, "cannot be made")],
)
def test_a_place_that_proves_nothing_is_not_used(
    tmp_path: Path,
    where: str,
    fault: object,
    why: str,
) -> None:
    assert callable(fault)
    fault(tmp_path / "home" / where)
    found = _find(tmp_path)
    assert _is_the_store_s(found, tmp_path)
    assert why in found.why
    assert not found.shared


def test_that_of_another_user_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _find(tmp_path)
    other = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: other)
    assert "belongs to another user" in _find(tmp_path).why


def test_a_key_among_what_it_signs_is_not_used(tmp_path: Path) -> None:
    same = str(tmp_path / "xdg")
    found = _find(tmp_path, XDG_CACHE_HOME=same, XDG_STATE_HOME=same)
    assert _is_the_store_s(found, tmp_path)
    assert "would lie in" in found.why
    assert "would lie in" in _find(tmp_path, str(tmp_path / "home")).why


def test_a_user_without_a_home_uses_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", unknown)
    assert "no home directory" in _find(tmp_path, HOME="").why


def test_the_secret_is_made_once_and_for_its_owner(tmp_path: Path) -> None:
    found = _find(tmp_path)
    secret = found.secret()
    assert len(secret) == 32
    assert found.secret() == secret
    assert found.key.stat().st_mode & 0o777 == 0o600
    found.key.unlink()
    found.key.mkdir()
    assert found.secret() == b""


def test_a_directory_that_is_there_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    assert make_private(tmp_path) == ""
    assert tmp_path.stat().st_mode & 0o777 == 0o755
