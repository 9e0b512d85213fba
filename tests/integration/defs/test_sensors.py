"""The sensor of releases, tick by tick, on an index whose content changes."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from elt_env.defs.run_tags import LOCK, TRIGGER, UPGRADE
from elt_env.defs.sensors import walk
from elt_env.lock.plugin_lock import LockedPlugin, PluginLock
from elt_env.lock.plugin_locks import plugin_lock_before, read_plugin_lock, write_plugin_lock
from elt_env.lockfile.document import Lock, Package
from elt_env.proof.checks.plugins import SMOKE
from elt_env.release.store import ReleaseStore
from tests.support.locking import LONG_AGO, Scene
from tests.support.project import toolbox_of
from tests.support.releases import a_release, fake_prefix
from tests.support.watching import Watched, versions, watched
from tests.support.wheels import make_sdist, make_wheel

_NOW = datetime.now(timezone.utc)


def test_a_release_leads_to_one_run_and_a_lock_with_that_change(tools: Watched) -> None:
    assert tools.tick().skipped == (
        "elt@3.11: nothing new for what is locked (2 packages looked at)"
    )
    tools.scene.offer_pip("part", "1.1")
    request = tools.tick().request
    assert (request.job_name, request.partition_key) == ("elt_build", "3.11")
    assert request.run_key == request.tags[LOCK] != tools.lock.digest
    assert request.tags[TRIGGER] == "part 1.0 → 1.1"
    # Until Dagster has made the run it is asked for under the same key, of which it makes one.
    assert tools.tick().request.run_key == request.run_key

    result = tools.run(request)
    assert result.success
    assert tools.lock.digest == request.run_key
    assert versions(tools.lock) == {"part": "1.1", "tool": "1.0"}
    for _ in range(2):
        seen = tools.tick()
        assert seen.skipped == "elt@3.11: nothing new for what is locked (2 packages looked at)"
    assert seen.cursor["targets"]["elt@3.11"]["asked"] is None


def _wheel(version: str = "1.1", **properties: str) -> Callable[[Path], Path]:
    return lambda place: make_wheel(place, "tool", version, **properties)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "uploaded", "reason"),
    [
        (_wheel("2.0"), LONG_AGO, "tool: 2.0 is outside <2 of environments/elt.yml"),
        (_wheel("1.1rc1"), LONG_AGO, "tool: 1.1rc1 is a pre-release"),
        (_wheel(), _NOW, "tool: 1.1 "),
        (_wheel(tag="cp311-cp311-win_amd64"), LONG_AGO, "tool: 1.1 has no wheel for linux-64"),
        (lambda place: make_sdist(place, "tool", "1.1"), LONG_AGO, "tool: 1.1 has no wheel"),
        (_wheel(requires_python=">=3.12"), LONG_AGO, "tool: 1.1 needs Python >=3.12"),
        (_wheel(requires_python="<3.11"), LONG_AGO, "tool: 1.1 needs Python <3.11"),
    ],
    ids=["range", "pre-release", "young", "platform", "sdist", "python", "old-python"],
)
def test_a_release_that_cannot_be_used_leads_to_no_run_and_a_reason(
    calm: Watched, tmp_path: Path, make: Callable[[Path], Path], uploaded: datetime, reason: str
) -> None:
    file = make(tmp_path)
    calm.scene.index.add(file, uploaded=uploaded)
    skipped = calm.tick().skipped
    calm.scene.index.remove(file)
    head, _, ignored = skipped.partition("; does not count: ")
    assert head == "elt@3.11: nothing new for what is locked (2 packages looked at)"
    assert reason in ignored


def test_a_yanked_release_leads_to_no_run(calm: Watched, tmp_path: Path) -> None:
    file = make_wheel(tmp_path, "part", "1.1")
    calm.scene.index.add(file, yanked="loses rows")
    assert "does not count: part: 1.1 was yanked: loses rows" in calm.tick().skipped
    calm.scene.index.remove(file)


@pytest.mark.parametrize("fault", ["500", "html-nonsense", "half-page", "slow", "down"])
def test_an_index_that_cannot_be_read_fails_the_tick_and_is_got_over(
    calm: Watched, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    before, index = calm.tick().cursor, calm.scene.index
    with monkeypatch.context() as patch:
        patch.setattr(walk, "_SECONDS", 6.0)
        if fault == "down":
            patch.setattr(index, "answer", _hang_up)
        else:
            patch.setattr(index, "fault", fault)
        told = calm.failing_tick()
    assert index.url in told
    seen = calm.tick()
    assert seen.skipped.startswith("elt@3.11: nothing new")
    assert seen.cursor == before


def _hang_up(path: str, headers: object) -> None:
    raise ConnectionResetError(path, headers)


def test_fifty_releases_lead_to_one_run(tools: Watched) -> None:
    tools.scene.offer_pip("part", *(f"1.{number}" for number in range(1, 26)))
    tools.scene.offer_pip("tool", *(f"1.{number}" for number in range(1, 26)), requires=["part"])
    request = tools.tick().request
    assert request.tags[TRIGGER] == "tool 1.0 → 1.25 and 1 more"
    assert tools.run(request).success
    assert versions(tools.lock) == {"part": "1.25", "tool": "1.25"}
    assert not tools.tick().requests


def test_a_release_that_changes_nothing_is_resolved_once(scene: Scene) -> None:
    scene.offer_pip("part", "1.0")
    scene.offer_pip("tool", "1.0", requires=["part==1.0"])
    with watched(scene, pip=["tool"]) as tools:
        scene.offer_pip("part", "1.1")
        told = "the lock would not change for part 1.0 → 1.1"
        assert tools.tick().skipped.startswith(f"elt@3.11: {told}")
        asked = scene.index.requests.copy()
        skipped = tools.tick().skipped
        assert skipped.startswith(f"elt@3.11: nothing changed since the last decision: {told}")
        # Two pages were looked at, and nothing else.
        assert (scene.index.requests - asked).total() == 2


def test_a_yank_of_what_is_locked_leads_to_a_run_that_says_so(scene: Scene) -> None:
    scene.offer_pip("tool", "1.0")
    (newest,) = scene.offer_pip("tool", "1.1")
    with watched(scene, pip=["tool"]) as tools:
        _release(tools, tools.lock)
        scene.index.yank(newest, "loses rows")
        request = tools.tick().request
        assert request.tags[TRIGGER] == "tool 1.1 was yanked (loses rows): tool 1.1 → 1.0"
        assert request.tags[UPGRADE] == "tool"
        assert tools.run(request).success
        assert versions(tools.lock) == {"tool": "1.0"}
        # What is released still holds it, until the new lock is proven.
        seen = tools.tick()
        assert not seen.requests
        assert "tool 1.1 was yanked (loses rows) (in the released lock)" in seen.skipped
        assert "becomes the release once proven" in seen.skipped


def test_what_is_gone_from_the_index_leads_to_a_run(scene: Scene) -> None:
    scene.offer_pip("tool", "1.0")
    (newest,) = scene.offer_pip("tool", "1.1")
    with watched(scene, pip=["tool"]) as tools:
        scene.index.remove(newest)
        trigger = tools.tick().request.tags[TRIGGER]
        assert trigger == "tool 1.1 is gone from its index: tool 1.1 → 1.0"


def test_a_yank_of_what_is_pinned_leads_to_no_run(scene: Scene) -> None:
    (wheel,) = scene.offer_pip("tool", "1.0")
    with watched(scene, pip=["tool==1.0"], policy={"yanked": "refuse"}) as tools:
        scene.index.yank(wheel)
        skipped = tools.tick().skipped
        told = "tool 1.0 was yanked (broken), but no new lock is possible: "
        assert told in skipped
        assert "pip: tool==1.0 because tool 1.0 was yanked: broken" in skipped
        assert f"nothing changed since the last decision: {told}" in tools.tick().skipped


def test_a_yank_of_what_is_pinned_changes_no_lock_where_such_pins_are_taken(scene: Scene) -> None:
    (wheel,) = scene.offer_pip("tool", "1.0")
    with watched(scene, pip=["tool==1.0"]) as tools:
        scene.index.yank(wheel)
        told = (
            "the lock would not change for tool 1.0 was yanked (broken): what the spec asks for, "
            "and what is locked beside it, admits nothing else"
        )
        assert told in tools.tick().skipped


def test_only_what_the_spec_names_is_watched_where_the_policy_says_so(scene: Scene) -> None:
    scene.offer_pip("part", "1.0")
    scene.offer_pip("tool", "1.0", requires=["part"])
    with watched(scene, pip=["tool"], policy={"watch-packages": "requested"}) as tools:
        scene.offer_pip("part", "1.1")
        told = "elt@3.11: nothing new for what is locked (1 package looked at)"
        assert tools.tick().skipped == told


def _release(tools: Watched, lock: Lock) -> None:
    """Make a lock the release, though nothing of it is built."""
    releases = ReleaseStore(toolbox_of(tools.project).store)
    release = a_release(1, "a", digest=lock.digest, target=lock.target.name)
    releases.prepare(release, fake_prefix(tools.scene.root / "prefix"))
    releases.switch(release)


def _lock_plugin(tools: Watched, version: str) -> None:
    file = f"tap_own-{version}-py3-none-any.whl"
    package = Package("pip", "tap-own", version, f"{tools.scene.index.url}/{file}", "ab" * 32)
    plugin = LockedPlugin("extractors", "tap", "tap-own<2 wheel", (package,))
    kept = PluginLock("3.11", tools.lock.target.platform, (plugin,))
    write_plugin_lock(tools.project.documents, tools.lock.target, SMOKE, kept)


def test_a_release_of_a_plugin_leads_to_a_run_that_locks_the_plugins_anew(tools: Watched) -> None:
    tools.scene.offer_pip("tap-own", "1.0")
    _lock_plugin(tools, "1.0")
    told = "elt@3.11: nothing new for what is locked (2 packages and 1 of plugins looked at)"
    assert tools.tick().skipped == told
    tools.scene.offer_pip("tap-own", "1.1", "2.0")
    digest, request = tools.lock.digest, tools.tick().request
    assert request.tags[TRIGGER] == "tap-own 1.0 → 1.1"
    assert request.tags[UPGRADE] == "tap-own"
    assert LOCK not in request.tags

    assert tools.run(request).success
    assert tools.lock.digest == digest
    documents, target = tools.project.documents, tools.lock.target
    assert read_plugin_lock(documents, target, SMOKE) is None
    assert plugin_lock_before(documents, target, SMOKE) is not None

    # Together with what the lock itself holds, and asked for by name.
    _lock_plugin(tools, "1.0")
    tools.scene.offer_pip("part", "1.1")
    request = tools.tick().request
    assert (request.tags[LOCK], request.tags[UPGRADE]) == (request.run_key, "part,tap-own")
    assert tools.run(request).success
    assert versions(tools.lock)["part"] == "1.1"
    assert read_plugin_lock(documents, target, SMOKE) is None
    seen = tools.tick().skipped
    assert seen == "elt@3.11: nothing new for what is locked (2 packages looked at)"
