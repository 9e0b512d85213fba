"""Outcomes are posted to the policy's webhook, and a failing one never fails a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from elt_env.machine.platform import target_here
from elt_env.release.notify import notify
from elt_env.tools import Tools
from tests.support.chat import Chat, chatting
from tests.support.index_server import dead_url
from tests.support.project import make_project, toolbox_of
from tests.support.said import Said

_TOKEN = "t0p/secret"  # noqa: S105  # nobody's


@pytest.fixture
def chat() -> Iterator[Chat]:
    with chatting() as made:
        yield made


def tools(root: Path, **policy: object) -> Tools:
    named = {key.replace("_", "-"): value for key, value in policy.items()}
    return toolbox_of(make_project(root, channels=["c"], index=dead_url(), policy=named))


def told(toolbox: Tools, outcome: Any = "relocked") -> tuple[bool, str]:
    lines = Said()
    target = target_here("elt", "3.11")
    done = notify(
        target,
        toolbox.policy,
        toolbox.store,
        lines,
        outcome,
        "2 upgraded",
        trigger="dagster 1 → 2",
        run="abc",
    )
    return done, "\n".join(lines)


def test_a_notice_says_what_came_of_it(
    chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", _TOKEN)
    done, said = told(tools(tmp_path, notify_webhook=chat.url))
    assert done
    assert chat.paths == [f"/hooks/{_TOKEN}"]
    assert chat.taken[0] | {"at": "", "platform": ""} == {
        "text": "elt@3.11 has a new lock (dagster 1 → 2): 2 upgraded",
        "outcome": "relocked",
        "target": "elt@3.11",
        "platform": "",
        "digest": None,
        "trigger": "dagster 1 → 2",
        "detail": "2 upgraded",
        "run": "abc",
        "at": "",
    }
    assert _TOKEN not in said


def test_off_by_default_and_for_what_nobody_wants_to_know(chat: Chat, tmp_path: Path) -> None:
    assert told(tools(tmp_path / "off")) == (False, "")
    toolbox = tools(tmp_path / "some", notify_webhook=chat.url, notify_on=["failed"])
    assert told(toolbox) == (False, "")
    assert chat.taken == []


@pytest.mark.parametrize("status", [404, 500])
def test_a_webhook_that_refuses_is_said_and_no_more(
    status: int, chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", _TOKEN)
    chat.status = status
    done, said = told(tools(tmp_path, notify_webhook=chat.url), "blocked")
    assert not done
    assert f"127.0.0.1 answers with HTTP status {status}" in said
    assert _TOKEN not in said


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        (f"{dead_url()}/${{CHAT_TOKEN}}", "does not take it"),
        ("chat.example/${CHAT_TOKEN}", "not a URL that can be posted to"),
        ("https://chat.example/${NOT_SET}", "the variable NOT_SET, which is not set"),
    ],
    ids=["nobody", "no URL", "no variable"],
)
def test_a_webhook_that_is_not_there_is_said_without_its_secret(
    url: str, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHAT_TOKEN", _TOKEN)
    done, said = told(tools(tmp_path, notify_webhook=url))
    assert not done
    assert expected in said
    assert _TOKEN not in said
