"""Code locations are reloaded when a release has moved; a webserver that is away fails no move."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from dagster import __version__
from dagster_graphql.schema import create_schema
from graphql import parse, validate

from elt_env.errors import ProofError
from elt_env.release import locations
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.release.store import ReleaseStore
from tests.support.chat import chatting
from tests.support.index_server import dead_url
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import keep_current, prepare, pretend_built, pretend_proven, toolbox_at
from tests.support.said import Said

_LOCK = lock_of(python_package(), pip_package("alpha", "1.0"))
_NEXT = lock_of(python_package(), pip_package("alpha", "1.1"))
_TARGET = _LOCK.target
_TOKEN = "t0p/secret"  # noqa: S105  # nobody's


def moved(root: Path, url: str) -> str:
    """Promote two locks and roll back, with a location to reload; return what was said."""
    toolbox = toolbox_at(root, reload_locations={url: ["analytics"]})
    lines = Said()
    for lock in (_LOCK, _NEXT):
        prepare(lock, toolbox)
        promote(_TARGET, toolbox, lines, trigger="a reason", by="a test")
    roll_back(_TARGET, toolbox, lines, trigger="a reason", by="a test")
    release = ReleaseStore(toolbox.store).current(_TARGET.name)
    assert release is not None
    assert (release.number, release.digest) == (3, _LOCK.digest)
    return "\n".join(lines)


def warnings(said: str) -> list[str]:
    return [each for each in said.splitlines() if each.startswith("WARNING: ")]


@pytest.mark.parametrize("query", [locations._RELOAD, locations._VERSION])
def test_what_is_asked_is_what_dagster_answers(query: str) -> None:
    assert validate(create_schema().graphql_schema, parse(query)) == []


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{dead_url()}/${{WEB_TOKEN}}", "127.0.0.1 does not take it"),
        ("dagster.example/${WEB_TOKEN}", "not a URL that can be posted to"),
        ("https://dagster.example/${NOT_SET}", "the variable NOT_SET, which is not set"),
    ],
    ids=["nobody", "no URL", "no variable"],
)
def test_a_webserver_that_is_not_there_is_a_warning_without_its_secret(
    url: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_TOKEN", _TOKEN)
    said = moved(tmp_path, url)
    told = warnings(said)
    assert len(told) == 3, said
    assert all(expected in each and "'analytics'" in each for each in told), said
    assert _TOKEN not in said


def test_what_does_not_speak_graphql_is_a_warning(tmp_path: Path) -> None:
    with chatting() as chat:
        said = moved(tmp_path, chat.url.rpartition("/")[0])
    assert [each["variables"] for each in chat.taken] == [{"location": "analytics"}] * 3
    assert chat.paths == ["/hooks/graphql"] * 3
    assert all("does not answer as a Dagster webserver does" in each for each in warnings(said))


def promoted(root: Path, version: str, locked: str) -> str:
    """Promote an environment whose Python serves nothing; return what was said.

    Args:
        root: of the project.
        version: of the webserver's Dagster.
        locked: version of Dagster in the lock.
    """
    lock = lock_of(python_package(), pip_package("dagster", locked))
    lines = Said()
    with chatting() as chat:
        chat.answer = json.dumps({"data": {"version": version}}).encode()
        toolbox = toolbox_at(root, reload_locations={chat.url.rpartition("/")[0]: []})
        keep_current(lock, toolbox)
        pretend_built(lock, toolbox, "python")
        pretend_proven(lock, toolbox)
        promote(lock.target, toolbox, lines, trigger="a reason", by="a test")
    return "\n".join(lines)


def test_a_dagster_that_the_webserver_cannot_load_is_not_released(tmp_path: Path) -> None:
    with pytest.raises(ProofError) as raised:
        promoted(tmp_path, __version__, "1.0.0")
    assert f"Dagster {__version__} of the webserver cannot load" in raised.value.problem
    assert "whose Dagster is 1.0.0" in raised.value.problem
    assert not list(tmp_path.rglob("release.json"))


@pytest.mark.parametrize(
    ("version", "expected"), [("0.9.9", "Dagster 0.9.9 loading 1.0.0"), ("1.0.0", "")]
)
def test_what_is_not_known_keeps_nothing_from_being_released(
    version: str, expected: str, tmp_path: Path
) -> None:
    said = promoted(tmp_path, version, "1.0.0")
    assert expected in said
    assert "release 1 of" in said
