"""A lock is not made anew while nothing that it was made from has changed, and else it is."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from elt_env.errors import EltEnvError, TimeLimitError, ToolError
from elt_env.lock.candidate import find_candidate
from elt_env.lock.make import Locked
from elt_env.machine.process import unheard
from elt_env.pip import ResolveRequest
from elt_env.python.interpreters import find_interpreter
from elt_env.tools import Tools
from tests.support.channel import ChannelServer
from tests.support.index_server import dead_url
from tests.support.locking import PYTHON, Scene, target_of, versions_of
from tests.support.loopback import running
from tests.support.project import at_moment

_HOST = {"channel-fallback": "host"}
_SAME = "nothing that it was made from has changed"
_RESOLVING = "pip: resolving"
_LOCKED = {"dateutil": "2.9", "dbt": "1.0", "frame": "1.0"}


def _toolbox(scene: Scene, **policy: str) -> Tools:
    return scene.toolbox(conda=["frame"], pip=["dbt"], policy=_HOST | policy)


def _relock(scene: Scene, **policy: str) -> Locked:
    return scene.lock_with(_toolbox(scene, **policy), upgrade=None)


@pytest.fixture
def host_scene(scene: Scene) -> Scene:
    """A scene of which the host channel makes the conda half; skip where none can be made."""
    try:
        find_interpreter(PYTHON)
    except ToolError as error:
        pytest.skip(error.problem.splitlines()[0])
    scene.offer_pip("frame", "1.0", requires=["dateutil>=2"])
    scene.offer_pip("dateutil", "2.8", "2.9", "4.0")
    scene.offer_pip("helper", "1.0")
    scene.offer_pip("dbt", "1.0", requires=["dateutil<3"])
    scene.offer_pip("dbt", "2.0", requires=["dateutil<3", "lost"])
    scene.offer_pip("dbt", "3.0", requires=["dateutil<3", "helper>=2"])
    return scene


@pytest.fixture
def proven(host_scene: Scene) -> Scene:
    """A scene whose lock came out once more."""
    host_scene.channel_url = dead_url()
    assert versions_of(_relock(host_scene)) == _LOCKED
    assert versions_of(_relock(host_scene)) == _LOCKED
    assert _RESOLVING in host_scene.told
    return host_scene


def test_the_third_time_nobody_resolves(proven: Scene) -> None:
    before = _relock(proven)
    assert before.kept
    assert before.reasons == (_SAME,)
    assert _RESOLVING not in proven.told
    assert [each.name for each in before.lock.held_back] == ["dbt"]
    assert before.report is not None
    proven.said.clear()
    toolbox = _toolbox(proven)
    assert find_candidate(target_of(toolbox), toolbox, proven.said, upgrade=None) is None
    assert "nothing has changed" in proven.told
    assert _RESOLVING not in proven.told


def _yank(scene: Scene) -> None:
    scene.index.yank(scene.root / "wheels/dateutil-2.9-py3-none-any.whl")


def _remove(scene: Scene) -> None:
    scene.index.remove(scene.root / "wheels/dateutil-2.9-py3-none-any.whl")


@pytest.mark.parametrize(
    ("change", "moved", "validators"),
    [
        (lambda scene: scene.offer_pip("dbt", "4.0"), {"dbt": "4.0", "dateutil": "4.0"}, 1),
        (lambda scene: scene.offer_pip("dateutil", "2.9.1"), {"dateutil": "2.9.1"}, 0),
        # What is not in the lock: tried and not there, tried and too old.
        (lambda scene: scene.offer_pip("lost", "1.0"), {"dbt": "2.0", "lost": "1.0"}, 1),
        (lambda scene: scene.offer_pip("helper", "2.0"), {"dbt": "3.0", "helper": "2.0"}, 0),
        (_yank, {"dateutil": "2.8"}, 1),
        (_remove, {"dateutil": "2.8"}, 0),
    ],
    ids=["asked for", "needed", "lost", "tried", "yanked", "removed"],
)
def test_what_changed_on_a_page_is_seen(
    proven: Scene, change: Callable[[Scene], object], moved: dict[str, str], validators: int
) -> None:
    proven.index.validators = bool(validators)
    _relock(proven)
    assert versions_of(_relock(proven)) == _LOCKED
    assert _SAME in proven.told
    change(proven)
    assert versions_of(_relock(proven)) == _LOCKED | moved
    assert _RESOLVING in proven.told


def test_a_lock_that_names_other_places_is_made_anew(proven: Scene) -> None:
    alias = {"channel-alias": dead_url()}
    for policy in (alias, {}) * 3:
        _relock(proven, **policy)
        proven.said.clear()
        assert proven.lock_with(_toolbox(proven, **policy)).kept
        assert "a new one is needed" not in proven.told


def test_what_the_cool_down_lets_through_by_now_is_seen(host_scene: Scene) -> None:
    host_scene.channel_url = dead_url()
    now = datetime.now(timezone.utc).replace(microsecond=0)
    host_scene.offer_pip("dateutil", "2.9.1", released=now - timedelta(days=2))

    def relock(moment: datetime) -> Locked:
        toolbox = at_moment(_toolbox(host_scene, cooldown="3 days"), moment)
        return host_scene.lock_with(toolbox, upgrade=None)

    for hours in range(3):
        assert versions_of(relock(now + timedelta(hours=hours))) == _LOCKED
    assert _SAME in host_scene.told
    later = relock(now + timedelta(days=1, minutes=1))
    assert versions_of(later) == _LOCKED | {"dateutil": "2.9.1"}
    assert versions_of(relock(now)) == _LOCKED  # by a clock that went back
    assert _RESOLVING in host_scene.told


def test_what_the_cool_down_holds_back_is_no_change(proven: Scene) -> None:
    now = datetime.now(timezone.utc)
    proven.offer_pip("dateutil", "2.9.1", released=now)
    assert versions_of(_relock(proven)) == _LOCKED
    assert _SAME in proven.told
    # A file that is there for long is not known by its name alone.
    proven.index.add(proven.root / "wheels/dateutil-2.8-py3-none-any.whl", uploaded=now)
    assert versions_of(_relock(proven)) == _LOCKED
    assert _RESOLVING in proven.told


def test_what_a_person_asks_otherwise_is_resolved(proven: Scene) -> None:
    toolbox = _toolbox(proven)
    proven.lock_with(toolbox, upgrade=("dbt",))
    assert _RESOLVING in proven.told
    _relock(proven, cooldown="5 days")
    assert _RESOLVING in proven.told
    bound = proven.toolbox(conda=["frame"], pip=["dbt", "helper"], policy=_HOST)
    assert versions_of(proven.lock_with(bound, upgrade=None)) == _LOCKED | {"helper": "1.0"}


def test_a_note_that_cannot_be_read_is_none(proven: Scene) -> None:
    notes = [*(_toolbox(proven).project.caches.path / "pages").glob("made-from-*")]
    assert len(notes) == 1
    entry = notes[0].read_bytes()
    start = entry.rindex(b"{")
    forged = json.dumps(json.loads(entry[start:]) | {"dbt": "another"}).encode()
    for content in (b"", entry[:start], entry[:-1], b"{}", entry[:start] + forged):
        notes[0].write_bytes(content)
        assert versions_of(_relock(proven)) == _LOCKED
        assert _RESOLVING in proven.told


def test_what_is_gone_from_the_host_channel_is_made_again(proven: Scene) -> None:
    before = _relock(proven)
    assert _SAME in proven.told
    archive = Path(before.lock.conda[0].url.removeprefix("file://"))
    archive.unlink()
    _relock(proven)
    assert _RESOLVING in proven.told
    assert archive.is_file()


def test_what_the_resolver_has_kept_of_a_page_is_not_what_it_asked_for(host_scene: Scene) -> None:
    host_scene.index.max_age = 600
    resolver = _toolbox(host_scene).resolver
    request = ResolveRequest(("dbt",), "3.11.7", fresh=True)
    asked = []
    for each in (request, replace(request, fresh=False)):
        since = time.monotonic()
        resolver.resolve(each, unheard)
        asked.append(resolver.asked_pages(since))
    url = host_scene.index.url
    pages = [(url, each) for each in ("dateutil", "dbt", "helper", "lost")]
    assert asked[0] == dict.fromkeys(pages, True)
    assert asked[1] == dict.fromkeys(pages[:3], False) | {pages[3]: True}
    with pytest.raises(TimeLimitError):
        resolver.resolve(replace(request, limit=0.0), unheard)
    assert resolver.asked_pages(since) is None
    assert resolver.asked_pages(time.monotonic()) == {}


def test_an_index_that_does_not_answer_is_no_proof(proven: Scene) -> None:
    proven.index.project_faults["dateutil"] = "500"
    with pytest.raises(Exception, match="dateutil"):
        _relock(proven)


def test_a_channel_that_answers_again_is_taken(host_scene: Scene) -> None:
    host_scene.offer_conda("frame", "5.0")
    host_scene.channel.index()
    with running(ChannelServer(host_scene.channel.root)) as server:
        host_scene.channel_url = server.url
        server.fault = "500"
        for _ in range(3):
            assert versions_of(_relock(host_scene)) == _LOCKED
        assert _SAME in host_scene.told
        server.fault = None
        assert versions_of(_relock(host_scene))["frame"] == "5.0"


_NAMES = ("dateutil", "frame", "dbt", "helper", "lost", "extra")


def _change_something(scene: Scene, chance: random.Random, now: datetime) -> datetime:
    """Change what the index has, if anything, and return what time it is then."""
    wheels = sorted((scene.root / "wheels").iterdir())
    what = chance.choice(["offer", "offer", "yank", "remove", "wait", "nothing"])
    if what == "offer":
        bounds = ["", ">=2", "<3", "==1.1", ">=9"]
        requires = [f"{n}{chance.choice(bounds)}" for n in chance.sample(_NAMES, 2)]
        wheel = scene.offer_pip(
            chance.choice(_NAMES),
            f"{chance.randint(1, 4)}.{chance.randint(0, 3)}",
            requires=requires[: chance.randint(0, 2)],
            released=now - timedelta(hours=chance.choice([1, 60, 71, 1000])),
        )
        wheel[0].touch()
    elif what not in {"nothing", "wait"}:
        name = chance.choice(wheels)
        with contextlib.suppress(KeyError):  # one that was removed before
            getattr(scene.index, what)(name)
    return now + timedelta(hours=chance.choice([1, 12, 72]) if what == "wait" else 0)


@pytest.mark.parametrize(
    "seed", [*range(4), *(pytest.param(n, marks=pytest.mark.slow) for n in range(4, 10))]
)
def test_with_notes_and_without_the_lock_is_the_same(
    seed: int, host_scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(seed)  # noqa: S311  # nothing secret
    host_scene.channel_url = dead_url()
    host_scene.index.validators = bool(seed % 2)
    host_scene.index.max_age = seed % 3 * 300
    now = datetime.now(timezone.utc).replace(microsecond=0)
    kept = 0

    def relock() -> Locked | str:
        toolbox = at_moment(_toolbox(host_scene, cooldown="3 days"), now)
        try:
            return host_scene.lock_with(toolbox, upgrade=None)
        except EltEnvError as error:
            return str(error)

    for step in range(6):
        for _ in range(3):
            found = relock()
        if isinstance(found, Locked) and _SAME in host_scene.told:
            kept += 1
            for note in (_toolbox(host_scene).project.caches.path / "pages").glob("made-from-*"):
                note.rename(host_scene.root / note.name)
            with monkeypatch.context() as patch:
                patch.setenv("UV_CACHE_DIR", str(host_scene.root / f"uv-{step}"))
                resolved = relock()
            assert _RESOLVING in host_scene.told
            assert isinstance(resolved, Locked)
            assert resolved.kept
            assert resolved.lock == found.lock
            assert resolved.report == found.report
            for note in host_scene.root.glob("made-from-*"):
                note.rename(_toolbox(host_scene).project.caches.path / "pages" / note.name)
        now = _change_something(host_scene, chance, now)
    assert kept
