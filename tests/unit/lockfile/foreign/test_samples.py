"""Lock files as the tools wrote them, of one project: each read as what that tool installs.

The project asks for click, redis and coloredlogs[cron], for iniconfig in an extra `ui` and for toml
in a group `dev`. The host names of the indexes are replaced.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env.lockfile.foreign.document import ForeignLock, Wanted
from elt_env.lockfile.foreign.read import open_lock_files

_SAMPLES = Path(__file__).parents[3] / "samples/locks"
_ALL = {
    "capturer": "3.0",
    "click": "8.5.1",
    "coloredlogs": "15.0.1",
    "humanfriendly": "10.0",
    "pyjwt": "2.15.1",
    "redis": "5.3.1",
}
_FILES = (
    "uv/uv.lock",
    "uv/pylock.toml",
    "uv/requirements.txt",
    "pip/pylock.toml",
    "pip-tools/requirements.txt",
    "poetry/poetry.lock",
    "pipenv/Pipfile.lock",
)


def _read(name: str, python: str = "3.11.7", groups: tuple[str, ...] = ()) -> ForeignLock:
    (file,) = open_lock_files([_SAMPLES / name])
    assert not file.has_conda
    return file.select(Wanted(python, "linux-64", groups))


@pytest.mark.parametrize("name", _FILES)
def test_what_the_tool_would_install(name: str) -> None:
    found = _read(name)
    # uv pip compile took 3.11 for 3.11.0, and wrote what it needs without a marker.
    more = {"async-timeout": "5.0.1"} if name == "uv/requirements.txt" else {}
    assert {each.name: each.version for each in found.pip} == _ALL | more
    assert all(len(digest) == 64 for each in found.pip for digest in each.sha256s)
    assert all(each.sha256s for each in found.pip)


# Compiled for one Python, or under 3.11.7: they have no marker, or no such package.
@pytest.mark.parametrize("name", ["uv/uv.lock", "uv/pylock.toml", "poetry/poetry.lock"])
def test_markers_count_for_the_full_version_of_python(name: str) -> None:
    assert "async-timeout" in {each.name for each in _read(name, "3.11.2").pip}


@pytest.mark.parametrize(
    ("name", "group", "more"),
    [
        ("uv/uv.lock", "ui", "iniconfig"),
        ("uv/uv.lock", "dev", "toml"),
        ("poetry/poetry.lock", "ui", "iniconfig"),
        ("poetry/poetry.lock", "dev", "toml"),
        ("pipenv/Pipfile.lock", "develop", "toml"),
    ],
)
def test_groups_are_taken_when_they_are_named(name: str, group: str, more: str) -> None:
    assert group in _read(name).groups
    assert {each.name for each in _read(name, groups=(group,)).pip} == {*_ALL, more}


def test_what_a_person_asked_for_is_told_by_uv() -> None:
    found = _read("uv/uv.lock", groups=("ui", "dev"))
    assert set(found.roots) == {"click>=8", "redis>=5,<6", "coloredlogs[cron]", "iniconfig", "toml"}
    extras = {each.name: each.extras for each in found.pip if each.extras}
    assert extras == {"coloredlogs": ("cron",)}


def test_the_places_that_files_name() -> None:
    assert {each.index for each in _read("uv/uv.lock").pip} == {"https://index.invalid/simple"}
    assert {each.index for each in _read("poetry/poetry.lock").pip} == {
        "https://index.invalid/simple"
    }
    assert _read("pipenv/Pipfile.lock").indexes == ("https://index.invalid/simple",)
    urls = [file.url for each in _read("pip/pylock.toml").pip for file in each.files]
    assert urls
    assert all(each.startswith("https://files.invalid/") for each in urls)
    (note,) = _read("pip-tools/requirements.txt").notes
    assert note.startswith("--find-links https://files.invalid/wheels of ")
