from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from elt_env.errors import IntegrityError
from elt_env.lockfile import lock_json
from elt_env.lockfile.document import Lock
from elt_env.package.canonical import digest_of
from tests.support.locks import conda_package, lock_of, locks, pip_package

_Edit = Callable[[dict[str, Any]], object]


def _parse(text: str) -> Lock:
    return lock_json.parse(text, "locks/12/lock.json", "Make a new one.")


def _refused(text: str) -> IntegrityError:
    with pytest.raises(IntegrityError) as caught:
        _parse(text)
    assert caught.value.problem.startswith("locks/12/lock.json")
    assert caught.value.remedy == "Make a new one."
    assert caught.value.exit_code == 5
    return caught.value


@given(locks())
def test_a_manifest_holds_the_whole_lock(lock: Lock) -> None:
    text = lock_json.render(lock)
    assert _parse(text) == lock
    assert lock_json.render(_parse(text)) == text


def test_a_manifest_from_before_variables_and_notes_is_read_as_it_is() -> None:
    lock = lock_of(pip_package(), conda_package())
    content = json.loads(lock_json.render(lock))
    for key in ("variables", "notes", "checksum"):
        content.pop(key)
    content["checksum"] = digest_of(content)
    assert _parse(json.dumps(content)) == lock


def test_a_manifest_is_for_other_tools_to_read_too() -> None:
    lock = lock_of(pip_package("alpha", "1.0"), conda_package())
    content = json.loads(lock_json.render(lock))
    assert next(iter(content)) == "digest"
    assert content["digest"] == lock.digest
    assert content["schema"] == 1
    assert content["target"] == {"environment": "elt", "python": "3.11", "platform": "linux-64"}
    assert content["exclude_newer"] == "2026-05-01T03:02:01Z"
    expected = {
        "manager": "pip",
        "name": "alpha",
        "version": "1.0",
        "sha256": "05" * 32,
        "released_at": "2025-05-04T03:02:01Z",
        "requested": False,
        "required_by": [],
    }
    assert expected.items() <= content["packages"][-1].items()


def _set(*path: str | int, to: object) -> _Edit:
    def edit(content: dict[str, Any]) -> None:
        *above, last = path
        place: Any = content
        for key in above:
            place = place[key]
        place[last] = to

    return edit


@pytest.mark.parametrize(
    "edit",
    [
        _set("packages", 1, "version", to="9.9"),
        _set("packages", 1, "url", to="https://evil.example.invalid/x.whl"),
        _set("packages", 1, "sha256", to="0" * 64),
        _set("packages", 1, "requested", to=True),
        _set("packages", 0, "conda", "depends", to=["gone"]),
        _set("spec_digest", to="sha256:" + "7" * 64),
        _set("requirements", to=[]),
        _set("channel_source", to="host"),
        _set("locked_at", to="2000-01-01T00:00:00Z"),
        _set("digest", to="sha256:" + "7" * 64),
        _set("checksum", to="sha256:" + "7" * 64),
        _set("comment", to="mine"),
        _set("comment", to="\ud800"),
        lambda content: content.pop("checksum"),
        lambda content: content.pop("digest"),
        lambda content: content["packages"].pop(),
    ],
)
def test_an_edit_by_hand_is_noticed(edit: _Edit) -> None:
    content = json.loads(lock_json.render(lock_of(pip_package())))
    edit(content)
    assert "changed by hand" in _refused(json.dumps(content)).problem


def test_white_space_and_the_order_of_keys_are_no_change() -> None:
    lock = lock_of(pip_package())
    content = json.loads(lock_json.render(lock))
    assert _parse(json.dumps(dict(reversed(content.items())))) == lock


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "not JSON"),
        ("{", "not JSON"),
        ("null", "holds no object"),
        ("[1]", "holds no object"),
        ('"x"', "holds no object"),
        ("{}", "schema none"),
        ('{"schema": 2}', "schema 2; this version reads 1"),
        ('{"schema": 1}', "changed by hand"),
    ],
)
def test_what_is_no_manifest_is_refused(text: str, complaint: str) -> None:
    assert complaint in _refused(text).problem


def _with_checksum(content: dict[str, Any]) -> str:
    rest = {key: value for key, value in content.items() if key != "checksum"}
    return json.dumps({**rest, "checksum": digest_of(rest)})


def test_a_manifest_that_another_program_made_up_is_refused_all_the_same() -> None:
    content = json.loads(lock_json.render(lock_of(pip_package())))
    content["packages"][1]["version"] = "9.9"
    assert "states the digest" in _refused(_with_checksum(content)).problem
    content["packages"][1]["manager"] = "npm"
    assert "packages.1.manager" in _refused(_with_checksum(content)).problem


@given(st.text(max_size=20) | st.dictionaries(st.text(max_size=5), st.integers()).map(json.dumps))
def test_no_text_ends_in_anything_but_an_integrity_error(text: str) -> None:
    _refused(text)
