"""A policy that cannot be read keeps the definitions from being loaded, and is told of."""

from __future__ import annotations

import importlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from elt_env.defs.unloaded import (
    remember_listener,
    telling_what_is_not_loaded,
    told_without_tick,
)
from elt_env.errors import PolicyError
from elt_env.project.settings import open_project
from tests.support.chat import Chat, chatting
from tests.support.locking import Scene
from tests.support.terminal import LIMIT
from tests.support.watching import PYPI, PYTHONS, SPEC, Watched


@pytest.fixture
def chat() -> Iterator[Chat]:
    with chatting() as made:
        yield made


@pytest.fixture
def policy(scene: Scene, chat: Chat, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The policy of a project that Dagster is started in, and whose webhook is the chat."""
    monkeypatch.setenv("CHAT_TOKEN", "s3cret")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "dagster"))
    (tmp_path / "dagster").mkdir()
    project = scene.toolbox(policy={"notify-webhook": chat.url}).project
    monkeypatch.setenv("ELT_ENV_PROJECT", str(project.root))
    return project.root / "pyproject.toml"


@pytest.fixture
def load(policy: Path) -> Callable[[], str]:
    """Loads the definitions as a code server does; returns why they cannot be, or ""."""
    del policy

    def load() -> str:
        import elt_env.definitions  # the first time it must not fail

        try:
            importlib.reload(elt_env.definitions)
        except PolicyError as error:
            return str(error)
        return ""

    return load


def test_who_loads_them_hears_nothing_of_dagsters_previews(policy: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "default", "-c", "import elt_env.definitions"],
        cwd=policy.parent,
        capture_output=True,
        text=True,
        timeout=LIMIT,
        check=True,
    )
    for kind in ("PreviewWarning", "BetaWarning", "SupersessionWarning"):
        assert kind not in done.stderr


def test_what_cannot_be_loaded_is_told_once_to_whom_the_last_good_policy_names(
    policy: Path, load: Callable[[], str], chat: Chat, tmp_path: Path
) -> None:
    good = policy.read_text()
    assert not load()
    for broken, why in (
        ("[tool.elt-env\n", "at line 1, column"),
        (good.replace("[tool.elt-env]\n", "[tool.elt-env]\nwatsh = true\n"), ", line 2, or ELT_"),
        ("", "No pyproject.toml with a [tool.elt-env] table"),
    ):
        policy.write_text(broken)
        chat.taken.clear()
        for _ in range(2):
            assert why in load()
        (told,) = chat.taken
        assert (told["outcome"], told["target"], told["run"]) == ("blocked", "elt@3.11", "")
        assert str(policy.parent) in told["detail"]
        assert why in told["detail"]
        # The same trouble after a policy that was well is new.
        policy.write_text(good)
        assert not load()
        policy.write_text(broken)
        load()
        assert len(chat.taken) == 2
    (kept,) = (tmp_path / "dagster" / "elt_env").iterdir()
    assert kept.stat().st_mode & 0o077 == 0
    assert "s3cret" not in kept.read_text()


def test_what_a_tick_tells_is_not_told_again_before_it_has_ended(
    policy: Path, load: Callable[[], str], chat: Chat, scene: Scene
) -> None:
    project = scene.toolbox(policy={"notify-webhook": chat.url}).project
    assert not load()
    with dg.DagsterInstance.ephemeral() as instance:  # it keeps no tick of those below
        watched = Watched(scene, instance, project, {})
        definitions = watched.definitions
        policy.write_text("[tool.elt-env\n")
        for sensor in (PYPI, PYTHONS, SPEC):
            with pytest.raises(dg.Failure, match="at line 1, column"):
                watched.tick(sensor, definitions)
        assert "at line 1, column" in load()
    (told,) = chat.taken
    assert told["trigger"] == PYPI


def test_what_was_told_by_who_loaded_them_is_not_told_again_by_a_tick(
    policy: Path, load: Callable[[], str], chat: Chat, scene: Scene
) -> None:
    project = scene.toolbox(policy={"notify-webhook": chat.url}).project
    assert not load()
    with dg.DagsterInstance.ephemeral() as instance:
        watched = Watched(scene, instance, project, {})
        definitions = watched.definitions
        policy.write_text("[tool.elt-env\n")
        assert "at line 1, column" in load()
        for sensor in (SPEC, PYPI):
            with pytest.raises(dg.Failure, match="at line 1, column"):
                watched.tick(sensor, definitions)
    (told,) = chat.taken
    assert told["trigger"] == "definitions"


def test_what_was_told_while_they_were_loaded_stays_told(
    policy: Path, load: Callable[[], str], chat: Chat
) -> None:
    assert not load()
    begun = time.time()
    read_well = open_project().policy
    for _ in range(2):
        policy.write_text("[tool.elt-env\n")
        with pytest.raises(PolicyError), telling_what_is_not_loaded(()):  # as another process does
            open_project()
        remember_listener(read_well, begun)
    assert len(chat.taken) == 1
    remember_listener(read_well, time.time())  # it was well again since
    with pytest.raises(PolicyError), telling_what_is_not_loaded(()):
        open_project()
    assert len(chat.taken) == 2


def test_what_a_tick_meets_while_it_is_told_of_is_not_told_again(
    policy: Path, load: Callable[[], str], chat: Chat
) -> None:
    assert not load()
    known: list[str] = []
    chat.on_taken = lambda: known.append(told_without_tick()[1])
    policy.write_text("[tool.elt-env\n")
    load()
    assert "at line 1, column" in known[0]
