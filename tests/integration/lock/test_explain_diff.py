"""Re-locks against an index and a channel that change, and what is told about them."""

from __future__ import annotations

import json
import shutil
from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from pathlib import Path

import pytest

from elt_env.environment.prefix import Prefix, Stage
from elt_env.lock.diff_render import to_text
from elt_env.lock.diff_report import DiffReport, ExplainedChange, to_json
from elt_env.lock.explain_diff import explain, read_report
from elt_env.lock.make import Locked, resolve, solve_unless_kept, write
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.locking import Scene, target_of
from tests.support.said import Said
from tests.support.wheels import make_wheel

_PIP = ("alpha",)
_NEWS = "https://project.example.invalid/news"
_URL = f"Project-URL: Change Log, {_NEWS}"
_NO_COOLDOWN = {"cooldown": "0"}

pytestmark = pytest.mark.usefixtures("tool_caches")


@pytest.fixture
def locked(scene: Scene) -> Locked:
    """The lock of `alpha`, which needs `beta`, both 1.0, and of conda's `tally`."""
    scene.offer_pip("alpha", "1.0", requires=["beta"])
    scene.offer_pip("beta", "1.0")
    scene.offer_conda("tally", "1.0")
    return _lock(scene)


def _lock(scene: Scene) -> Locked:
    made = scene.lock(conda=["tally"], pip=_PIP, policy=_NO_COOLDOWN, upgrade=None)
    scene.index.requests.clear()
    return made


def _toolbox(scene: Scene) -> Tools:
    return scene.toolbox(conda=["tally"], pip=_PIP, policy=_NO_COOLDOWN)


def _offer(scene: Scene, name: str, version: str, *, yanked: str | None = None) -> Path:
    """Offer a wheel whose project has a changelog."""
    directory = scene.root / "wheels"
    requires = ["beta"] if name == "alpha" else []
    wheel = make_wheel(directory, name, version, requires=requires, fields=[_URL])
    scene.index.add(wheel, yanked=yanked)
    return wheel


def _by_name(report: DiffReport | None) -> dict[str, ExplainedChange]:
    assert report is not None
    return {each.name: each for each in report.changes}


def test_a_first_lock_is_reported_without_asking_anybody(scene: Scene) -> None:
    scene.offer_pip("alpha", "1.0")
    toolbox = scene.toolbox(pip=_PIP, policy=_NO_COOLDOWN)
    found = resolve(solve_unless_kept(target_of(toolbox), toolbox, print), toolbox, print)
    scene.index.requests.clear()
    made = write(found, toolbox, print)
    assert scene.index.requests.total() == 0
    assert made.report is not None
    assert made.report.is_first
    assert [each.kind for each in made.report.changes] == ["added", "added"]
    assert read_report(toolbox.store, None, made.lock.digest) == made.report


def test_a_relock_tells_what_was_skipped_yanked_and_where_the_news_are(
    scene: Scene, locked: Locked
) -> None:
    scene.index.core_metadata = True
    for version in ("1.1", "1.10", "1.9", "2.0rc1", "2.0", "2.1.dev1"):
        _offer(scene, "alpha", version)
    _offer(scene, "alpha", "1.5", yanked="withdrawn")
    scene.index.yank(scene.root / "wheels" / "beta-1.0-py3-none-any.whl", "loses\nrows")
    scene.offer_pip("beta", "1.0.1")
    scene.offer_conda("tally", "1.1", "1.2")

    made = scene.lock(conda=["tally"], pip=_PIP, policy=_NO_COOLDOWN, upgrade=None)

    found = _by_name(made.report)
    assert found.keys() == {"alpha", "beta", "tally"}
    alpha, beta, tally = found["alpha"], found["beta"], found["tally"]
    assert (alpha.level, alpha.skipped, alpha.changelog) == ("major", ("1.1", "1.9", "1.10"), _NEWS)
    assert (alpha.direct, beta.direct, beta.required_by) == (True, False, ("alpha",))
    assert beta.old is not None
    assert (beta.old.yanked, beta.yanked) == ("loses rows", None)
    assert (beta.skipped, beta.changelog) == ((), None)
    assert (tally.manager, tally.level, tally.skipped) == ("conda", "minor", ("1.1",))
    assert made.report is not None
    assert (made.report.old, made.report.notes) == (locked.lock.digest, ())
    wheel = "/files/alpha-2.0-py3-none-any.whl"
    asked = [each.status for each in scene.index.asked if each.path == wheel]
    assert asked == [HTTPStatus.PARTIAL_CONTENT]  # its list of contents, and no more
    _require_kept(_toolbox(scene).store, locked.lock.digest, made.lock.digest, made.report)


def _require_kept(store: Store, old: str, new: str, report: DiffReport) -> None:
    """Assert that the store has the report, as JSON, until it is damaged."""
    assert read_report(store, old, new) == report
    path = store.local_home / "diffs" / "-".join(f"{each[7:]}" for each in (old, new))
    path = path.with_suffix(".json")
    assert json.loads(path.read_text()) == to_json(report)
    path.write_text(path.read_text()[:100])
    assert read_report(store, old, new) is None
    assert read_report(store, new, old) is None


def test_only_what_changed_is_asked_about(scene: Scene, locked: Locked) -> None:
    wheel = _offer(scene, "alpha", "1.1")
    made = _lock(scene)
    scene.index.yank(wheel, "withdrawn")
    toolbox = _toolbox(scene)
    report = explain(locked.lock, made.lock, toolbox, print)
    assert list(scene.index.requests) == ["/simple/alpha/", f"/files/{wheel.name}"]
    assert scene.index.asked[-1].status == HTTPStatus.PARTIAL_CONTENT
    assert _by_name(report)["alpha"].yanked == "withdrawn"
    assert "YANKED" in to_text(report)

    scene.index.requests.clear()
    assert explain(made.lock, made.lock, toolbox, print).changes == ()
    explain(None, made.lock, toolbox, print)
    assert scene.index.requests.total() == 0


def test_what_fails_beside_a_relock_does_not_fail_it(scene: Scene, locked: Locked) -> None:
    _offer(scene, "alpha", "2.0")
    toolbox = _toolbox(scene)
    found = solve_unless_kept(target_of(toolbox), toolbox, print, upgrade=None)
    resolved = resolve(found, toolbox, print)
    scene.index.fault = "500"
    kept = toolbox.store.local_home / "diffs"
    shutil.rmtree(kept)
    kept.write_text("a file where a directory should be")
    said = Said()
    made = write(resolved, _toolbox(scene), said)  # as another process would

    assert toolbox.store.current_lock(made.lock.target) == made.lock
    report = made.report
    assert report is not None
    [alpha] = report.changes
    assert (alpha.name, alpha.level, alpha.skipped, alpha.yanked) == ("alpha", "major", None, None)
    assert report.old == locked.lock.digest
    [note] = [each for each in report.notes if "skipped" in each]
    assert "The index did not answer" in note
    assert "\n" not in note
    assert f"WARNING: {note}" in said
    assert any("cannot be kept" in each for each in said)
    assert any("the cool-down" in each for each in report.notes)


def test_the_news_of_what_is_installed_are_known_without_the_index(
    scene: Scene, locked: Locked
) -> None:
    toolbox = _toolbox(scene)
    prefix = Prefix(toolbox.store.prefix_path(locked.lock), locked.lock)
    with prefix.reaching(Stage.INSTALLED):
        for name in ("alpha", "tally"):
            info = prefix.site_packages / f"{name}-1.0.dist-info"
            info.mkdir(parents=True)
            (info / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n{_URL}\n")
    scene.offer_pip("alpha", "1.1", requires=["beta"])
    scene.offer_conda("tally", "1.1")
    found = _by_name(_lock(scene).report)
    assert [found[each].changelog for each in ("alpha", "tally")] == [_NEWS, _NEWS]


def test_a_relock_that_changes_nothing_is_kept_and_reports_no_change(
    scene: Scene, locked: Locked
) -> None:
    again = _lock(scene)
    assert again.kept
    assert again.report is not None
    assert again.report.changes == ()
    assert read_report(_toolbox(scene).store, locked.lock.digest, locked.lock.digest) is None


def test_a_relock_tells_what_the_cool_down_holds_back_and_until_when(
    scene: Scene, locked: Locked
) -> None:
    now = datetime.now(timezone.utc)
    scene.offer_pip("alpha", "1.1", requires=["beta"])
    scene.offer_pip("alpha", "2.0", requires=["beta"], released=now)
    scene.offer_pip("beta", "3.0", released=now)
    changed = scene.lock(conda=["tally"], pip=_PIP, policy={"cooldown": "3 days"}, upgrade=None)
    assert [each.name for each in changed.changes] == ["alpha"]
    again = scene.lock(conda=["tally"], pip=_PIP, policy={"cooldown": "3 days"}, upgrade=None)
    assert again.kept
    for made in (changed, again):
        assert made.report is not None
        held = made.report.held_back
        assert [(each.name, each.locked, each.newer) for each in held] == [
            ("alpha", "1.1", "2.0"),
            ("beta", "1.0", "3.0"),
        ]
        assert all(each.eligible_at - each.released_at == timedelta(days=3) for each in held)
    assert again.report is not None
    assert "held back by the cool-down:" in to_text(again.report)
    assert read_report(_toolbox(scene).store, locked.lock.digest, changed.lock.digest) == (
        changed.report
    )
