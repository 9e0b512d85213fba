from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from elt_env.lockfile.document import Bound, HeldBack
from elt_env.report.summary import Summary, next_steps
from elt_env.store.evidence import Evidence
from tests.support.locks import MOMENT, TARGET, conda_package, lock_of, pip_package
from tests.support.releases import a_release, digest

_LOCK = lock_of(
    conda_package("gamma"),
    pip_package("alpha", requested=True),
    pip_package("beta", required_by=("alpha",)),
    negotiated=(Bound("gamma", "<3dev0", "3.1", ("alpha 1.0",)),),
    held_back=(HeldBack("alpha", "1.0", "2.0"),),
)
_SUMMARY = Summary(
    target=TARGET,
    lock=_LOCK,
    lock_path="/store/locks/12",
    prefix=Path("/store/prefixes/elt@3.11-12"),
    ready=True,
    evidence=(
        Evidence(
            "imports", "failed", MOMENT, 12.3456, "alpha: no module\nmore", "logs/imports.log"
        ),
        Evidence("pip_check", "not_run", MOMENT, 0.0, ""),
    ),
)


def test_the_contract_of_show() -> None:
    """The keys that the design names; others may be added, none may go or change."""
    content: dict[str, Any] = json.loads(json.dumps(_SUMMARY.to_json()))
    assert content["target"] == "elt@3.11"
    assert content["platform"] == "linux-64"
    contract = {
        "digest": _LOCK.digest,
        "path": "/store/locks/12",
        "packages": 4,
        "conda": 2,
        "pip": 2,
        "locked_at": "2026-05-04T03:02:01+00:00",
        "exclude_newer": "2026-05-01T03:02:01+00:00",
        "channels": ["https://channel.example.invalid/forge"],
        "indexes": ["https://index.example.invalid/simple"],
    }
    assert contract.items() <= content["lock"].items()
    assert content["prefix"] == {"path": "/store/prefixes/elt@3.11-12", "ready": True}
    assert content["evidence"][0] == {
        "check": "imports",
        "status": "failed",
        "at": "2026-05-04T03:02:01+00:00",
        "seconds": 12.3456,
        "detail": "alpha: no module\nmore",
        "counts": {},
    }
    assert content["evidence"][1]["status"] == "not_run"
    assert content["image"] is None
    assert content["release"] is None


_RELEASED = replace(
    _SUMMARY,
    release=a_release(3, "a", image=digest("c")),
    previous=a_release(2, "b"),
    entry_points=Path("/store/current/elt@3.11/bin"),
)


def test_the_contract_of_a_release() -> None:
    assert _RELEASED.to_json()["release"] == {
        "current": digest("a"),
        "previous": digest("b"),
        "promoted_at": "2026-05-04T06:02:01+00:00",
        "number": 3,
        "action": "promoted",
        "image": digest("c"),
        "entry_points": "/store/current/elt@3.11/bin",
    }
    first = replace(_RELEASED, previous=None).to_json()["release"]
    assert first["previous"] is None


def test_a_release_of_another_lock_is_told_as_such() -> None:
    text = _RELEASED.to_text()
    assert f"release   {digest('a')}, which is not the current lock" in text
    assert "promoted 2026-05-04 06:02 UTC by elt-env promote: reason 3" in text
    assert "/store/current/elt@3.11/bin" in text
    same = replace(_RELEASED, release=a_release(1, "a", digest=_LOCK.digest))
    assert "which is not" not in same.to_text()


def test_what_does_not_exist_yet_is_null() -> None:
    assert Summary(TARGET).to_json() == {
        "target": "elt@3.11",
        "platform": "linux-64",
        "lock": None,
        "prefix": None,
        "evidence": [],
        "image": None,
        "release": None,
    }


def test_a_lock_without_a_cool_down_or_a_place_has_nulls() -> None:
    content = Summary(TARGET, lock=replace(_LOCK, exclude_newer=None)).to_json()
    assert content["lock"]["exclude_newer"] is None
    assert content["lock"]["path"] is None
    assert content["prefix"] is None


def test_the_host_channel_and_what_was_negotiated_can_be_seen() -> None:
    content = replace(_SUMMARY, lock=replace(_LOCK, channel_source="host")).to_json()["lock"]
    assert content["channel_source"] == "host"
    assert content["negotiated"] == ["gamma <3dev0"]
    assert content["held_back"] == [str(_LOCK.held_back[0])]


def test_variables_and_notes_can_be_seen_and_no_value_where_a_log_may_keep_it() -> None:
    variables = (("DBT_PARTIAL_PARSE", "0"), ("DBT_PROFILES_DIR", "ci/profiles"))
    lock = replace(_LOCK, variables=variables, notes=("gamma 1.0: its post-link is not run",))
    content = replace(_SUMMARY, lock=lock).to_json()["lock"]
    assert content["variables"] == dict(variables)
    assert content["notes"] == ["gamma 1.0: its post-link is not run"]
    text = replace(_SUMMARY, lock=lock).to_text()
    assert "variables DBT_PARTIAL_PARSE, DBT_PROFILES_DIR\n" in text
    assert "note      gamma 1.0: its post-link is not run" in text
    assert "ci/profiles" not in text


def test_a_person_reads_it_line_by_line() -> None:
    text = _SUMMARY.to_text()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "elt@3.11 on linux-64"
    assert f"lock {_LOCK.digest}" in lines
    assert "made 2026-05-04 03:02 UTC, releases until 2026-05-01" in lines
    assert "packages 2 from conda, 2 from pip" in lines
    assert "agreed gamma <3dev0 (conda had 3.1)" in lines
    assert "asked for python 3.11.7, alpha 1.0" in lines
    assert "prefix /store/prefixes/elt@3.11-12 (ready)" in lines
    assert "imports failed in 12.3 s: alpha: no module" in lines
    assert "more" not in text


@pytest.mark.parametrize(
    ("summary", "said"),
    [
        (Summary(TARGET), "none yet"),
        (replace(_SUMMARY, ready=False), "not built"),
        (replace(_SUMMARY, lock=replace(_LOCK, channel_source="host")), "HOST CHANNEL"),
    ],
)
def test_what_is_not_as_it_should_be_is_said(summary: Summary, said: str) -> None:
    assert said in summary.to_text()


def test_the_next_steps_can_be_typed_as_they_stand() -> None:
    with_dbt = lock_of(pip_package("dbt-core", requested=True))
    built = replace(_SUMMARY, lock=with_dbt)
    steps = next_steps(built, ".venv/bin/elt-env")
    assert ".venv/bin/elt-env run elt@3.11 -- dbt --version" in steps
    assert ".venv/bin/elt-env shell elt@3.11" in steps
    entry = Path("/store/current/elt@3.11/bin")
    released = replace(built, release=a_release(1, "a"), entry_points=entry)
    assert f"  {entry}/dbt --version" in next_steps(released, "elt-env")


def test_the_next_steps_name_no_workspace_that_is_not_there() -> None:
    steps = next_steps(_SUMMARY, "elt-env", with_make=False)
    assert "dagster dev -w workspace.yaml " in steps
    steps = next_steps(_SUMMARY, "elt-env", with_make=False, with_workspace=False)
    assert "dagster dev -m elt_env.definitions " in steps


def test_the_next_steps_name_no_tool_that_is_not_there() -> None:
    steps = next_steps(_SUMMARY, "elt-env")
    assert "elt-env run elt@3.11 -- python --version" in steps
    assert "dbt" not in steps
    assert "run-image" not in steps


@pytest.mark.parametrize(("behind", "said"), [(timedelta(minutes=1), False), (timedelta(1), True)])
def test_a_clock_before_the_newest_record_is_told(behind: timedelta, *, said: bool) -> None:
    newest = _SUMMARY.newest
    assert newest == MOMENT
    trouble = _SUMMARY.clock_trouble(newest - behind)
    assert bool(trouble) is said
    assert ("elt@3.11 has a record of 2026-05-04 03:02 UTC" in trouble) is said
    assert not Summary(TARGET).clock_trouble(newest - behind)
