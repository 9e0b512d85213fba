from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from elt_env.lockfile.changes import compare
from elt_env.release.history import Entry, log_text
from elt_env.release.log import release_log
from elt_env.release.store import ReleaseStore
from elt_env.store.local import LocalDocuments
from elt_env.store.locks import Store
from tests.support.locks import TARGET, lock_of, pip_package
from tests.support.releases import a_release, digest, fake_prefix

_OLD = lock_of(pip_package("alpha", "1.0"), pip_package("beta"))
_NEW = lock_of(pip_package("alpha", "1.1"), pip_package("gamma"))
_FIRST = a_release(1, "a")
_SECOND = a_release(
    2,
    "b",
    image=digest("c"),
    evidence={"pip_check": "passed", "imports": "passed", "isolation": "not_run"},
)


def test_the_keys_of_a_release_as_json() -> None:
    content = json.loads(json.dumps(Entry(_SECOND, _FIRST, compare(_OLD, _NEW)).to_json()))
    assert content == {
        "number": 2,
        "action": "promoted",
        "digest": digest("b"),
        "image": digest("c"),
        "at": "2026-05-04T05:02:01+00:00",
        "trigger": "reason 2",
        "by": "elt-env promote",
        "previous": digest("a"),
        "changes": {"added": 1, "removed": 1, "upgraded": 1},
        "evidence": {"pip_check": "passed", "imports": "passed", "isolation": "not_run"},
    }


def test_a_person_reads_when_why_by_what_and_how_to_see_the_changes() -> None:
    text = log_text(
        "elt@3.11", [Entry(_FIRST, None, ()), Entry(_SECOND, _FIRST, compare(_OLD, _NEW))]
    )
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == f"1 2026-05-04 04:02 UTC promoted {digest('a')}"
    assert "changes the first release" in lines
    assert "why reason 2" in lines
    assert "by elt-env promote" in lines
    assert "changes 1 added, 1 removed, 1 upgraded" in lines
    assert f"all of them: elt-env diff {'a' * 12} {'b' * 12}" in lines
    assert "proven 1 not_run, 2 passed: isolation" in lines
    assert f"image {digest('c')}" in lines


def test_the_same_lock_and_one_that_is_lost() -> None:
    assert "the same lock" in Entry(_SECOND, _FIRST, ()).difference
    lost = Entry(_SECOND, _FIRST, None)
    assert "unknown" in lost.difference
    assert lost.to_json()["changes"] is None


def test_no_release_yet() -> None:
    assert log_text("elt@3.11", []) == "elt@3.11 has no release yet"


@dataclass(frozen=True)
class _Counted(LocalDocuments):
    """Documents that note which folders were opened."""

    opened: list[str] = field(default_factory=list)

    def folder(self, folder: str) -> LocalDocuments:
        self.opened.append(folder)
        return super().folder(folder)


def test_a_lock_that_is_gone_is_not_waited_for(tmp_path: Path) -> None:
    documents = _Counted(tmp_path / "home")
    store = Store(tmp_path / "home", documents=documents)
    releases, prefix = ReleaseStore(store), fake_prefix(tmp_path / "prefix", "tool")
    store.write_lock(_OLD)
    for number, each in enumerate((digest("a"), digest("b"), digest("c"), _OLD.digest), 1):
        release = a_release(number, "a", digest=each)
        releases.prepare(release, prefix)
        releases.switch(release)
    documents.opened.clear()
    assert [each.changes for each in release_log(TARGET, store)] == [None] * 4
    assert documents.opened == [f"locks/{_OLD.digest.removeprefix('sha256:')}"]
