"""A store has one project: no other one's locks and releases get into it, or out of it."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner

from elt_env.cli import main
from elt_env.errors import EltEnvError, IntegrityError, PolicyError
from elt_env.project.settings import open_project
from elt_env.release.promote import promote
from elt_env.release.store import ReleaseStore
from elt_env.tools import Tools, open_tools
from tests.support.locks import CHANNEL, INDEX, MOMENT, lock_of, pip_package, python_package
from tests.support.project import make_project, toolbox_of
from tests.support.proving import keep_current, prepare, toolbox_at
from tests.support.sample import silent

_A, _B = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _A.target
_RECORD = "project.json"


def project_at(root: Path, home: str, **policy: str) -> Tools:
    keys = {"home": home} | {key.replace("_", "-"): value for key, value in policy.items()}
    return toolbox_of(make_project(root, channels=[CHANNEL], index=INDEX, policy=keys))


def reopened(root: Path) -> Tools:
    return open_tools(open_project(root), "elt")


def released(toolbox: Tools) -> str | None:
    release = ReleaseStore(toolbox.store).current(_TARGET.name)
    return release.digest if release else None


@pytest.fixture
def home(tmp_path: Path) -> str:
    return str(tmp_path / "a store")


@pytest.fixture
def first(tmp_path: Path, home: str) -> Tools:
    """The tools of a project with a release in a store outside of it."""
    toolbox = project_at(tmp_path / "first", home)
    prepare(_A, toolbox)
    promote(_TARGET, toolbox, silent, trigger="", by="a test")
    return toolbox


@pytest.mark.parametrize(
    "command",
    [
        ["show", "elt"],
        ["lock", "elt"],
        ["build", "elt"],
        ["build", "environments/elt.yml"],
        ["run", "elt", "tool"],
        ["promote", "elt"],
        ["rollback", "elt"],
        ["history", "elt"],
        ["verify", "elt", "--repair"],
        ["gc"],
        ["diff", "elt"],
        ["doctor", "elt"],
    ],
    ids=" ".join,
)
def test_every_command_refuses_the_store_of_another_project(
    command: list[str],
    first: Tools,
    home: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = make_project(tmp_path / "second", channels=[CHANNEL], index=INDEX)
    monkeypatch.chdir(other.root)
    monkeypatch.setenv("ELT_ENV_HOME", home)
    before = sorted(Path(home).rglob("*"))
    result = CliRunner().invoke(main, command)
    assert result.exit_code == PolicyError.exit_code
    assert f"belongs to the project {first.project.root}" in result.output
    assert "ELT_ENV_HOME" in result.output
    assert sorted(Path(home).rglob("*")) == before
    monkeypatch.delenv("ELT_ENV_HOME")
    assert released(first) == _A.digest


def test_the_same_without_a_policy(
    first: Tools, home: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del first
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ELT_ENV_HOME", home)
    (tmp_path / "environment.yml").write_text("name: elt\ndependencies: [python]\n")
    result = CliRunner().invoke(main, ["build", "environment.yml"])
    assert result.exit_code == PolicyError.exit_code
    assert "belongs to the project" in result.output


def test_of_two_that_begin_at_once_one_is_refused(tmp_path: Path, home: str) -> None:
    """Both were opened while the store was nobody's."""
    both = [project_at(tmp_path / name, home) for name in ("first", "second")]

    def keep(toolbox: Tools) -> type[Exception] | None:
        try:
            keep_current(_A, toolbox)
        except EltEnvError as error:
            return type(error)
        return None

    with ThreadPoolExecutor() as pool:
        results = list(pool.map(keep, both))
    assert sorted(results, key=str) == [PolicyError, None]
    assert json.loads(Path(home, _RECORD).read_text())["project"] == str(
        both[results.index(None)].project.root
    )


def test_who_only_looks_claims_nothing(tmp_path: Path, home: str) -> None:
    toolbox = project_at(tmp_path / "first", home)
    assert toolbox.store.current_lock(_TARGET) is None
    assert not Path(home).exists()


@pytest.mark.parametrize("move", [Path.rename, shutil.copytree], ids=["moved", "copied"])
@pytest.mark.parametrize("way", [".elt_env", "../store"], ids=["in it", "beside it"])
def test_a_project_and_its_store_go_together(
    way: str, move: Callable[[Path, Path], object], tmp_path: Path
) -> None:
    keep_current(_A, project_at(tmp_path / "old/project", way))
    move(tmp_path / "old", tmp_path / "new")
    toolbox = reopened(tmp_path / "new/project")
    assert toolbox.store.current_lock(_TARGET) == _A
    keep_current(_B, toolbox)
    # Nobody else has become a project of it, the old one included.
    with pytest.raises(PolicyError, match="belongs to the project"):
        project_at(tmp_path / "other", str(toolbox.store.local_home))


def test_a_project_that_was_moved_keeps_a_store_elsewhere(
    first: Tools, home: str, tmp_path: Path
) -> None:
    first.project.root.rename(tmp_path / "moved")
    toolbox = reopened(tmp_path / "moved")
    assert released(toolbox) == _A.digest
    assert json.loads(Path(home, _RECORD).read_text())["project"] == str(tmp_path / "moved")
    # With its next change it is known at its new place.
    project_at(tmp_path / "moved", home, cooldown="1 week")
    assert released(reopened(tmp_path / "moved")) == _A.digest


def test_a_copy_of_a_project_is_another_project(first: Tools, tmp_path: Path) -> None:
    shutil.copytree(first.project.root, tmp_path / "copy")
    with pytest.raises(PolicyError, match="belongs to the project"):
        open_project(tmp_path / "copy")


def test_a_store_that_was_moved_alone_stays_the_project_s(first: Tools, tmp_path: Path) -> None:
    shutil.move(first.store.local_home, tmp_path / "larger disk")
    toolbox = project_at(first.project.root, str(tmp_path / "larger disk"))
    assert toolbox.store.current_lock(_TARGET) == _A


def test_links_to_a_project_and_a_store_lead_to_the_same(
    first: Tools, home: str, tmp_path: Path
) -> None:
    (tmp_path / "linked").symlink_to(first.project.root)
    (tmp_path / "store link").symlink_to(home)
    assert released(reopened(tmp_path / "linked")) == _A.digest
    assert released(project_at(first.project.root, str(tmp_path / "store link"))) == _A.digest


def test_the_remedies_work(first: Tools, home: str, tmp_path: Path) -> None:
    with pytest.raises(PolicyError) as raised:
        project_at(tmp_path / "second", home)
    own, name, take = raised.value.remedy.splitlines()
    assert "store of its own" in own
    assert project_at(tmp_path / "second", ".elt_env").store.current_lock(_TARGET) is None

    assert "'project-name'" in name
    project_at(first.project.root, home, project_name="elt-team")
    named = project_at(tmp_path / "second", home, project_name="elt-team")
    assert released(named) == _A.digest
    with pytest.raises(PolicyError, match="belongs to the project 'elt-team' in"):
        project_at(tmp_path / "third", home, project_name="another-team")

    record = Path(shlex.split(take.partition(": rm ")[2])[0])
    record.unlink()
    keep_current(_B, project_at(tmp_path / "third", home, project_name="another-team"))
    with pytest.raises(PolicyError, match="belongs to the project 'another-team' in"):
        reopened(first.project.root)


def test_where_the_project_is_gone_the_store_is_taken_over_first(
    first: Tools, home: str, tmp_path: Path
) -> None:
    shutil.rmtree(first.project.root)
    with pytest.raises(PolicyError) as raised:
        project_at(tmp_path / "second", home, cooldown="1 week")
    assert raised.value.remedy.startswith("If this is that project at a new place")


def test_a_store_from_before_is_the_first_writer_s(tmp_path: Path, home: str) -> None:
    first, second = (project_at(tmp_path / name, home) for name in ("first", "second"))
    keep_current(_A, first)
    Path(home, _RECORD).unlink()
    second.store.pointer(_TARGET)
    assert not Path(home, _RECORD).exists()
    first.store.set_current(_TARGET, _A.digest, MOMENT)
    with pytest.raises(PolicyError, match="belongs to the project"):
        reopened(tmp_path / "second")


def test_a_record_that_cannot_be_read_is_named(first: Tools, home: str) -> None:
    Path(home, _RECORD).write_text("{")
    with pytest.raises(IntegrityError, match=r"project\.json") as raised:
        reopened(first.project.root)
    Path(shlex.split(raised.value.remedy.partition(": rm ")[2])[0]).unlink()
    keep_current(_B, reopened(first.project.root))
    assert released(first) == _A.digest


def test_advice_about_a_full_disk_leads_to_no_shared_store(tmp_path: Path) -> None:
    toolbox = toolbox_at(tmp_path)
    keep_current(_A, toolbox)
    shutil.rmtree(toolbox.store.local_home / "targets")
    (toolbox.store.local_home / "targets").write_text("")
    with pytest.raises(EltEnvError) as raised:
        toolbox.store.set_current(_TARGET, _A.digest, MOMENT)
    assert "of this project alone" in raised.value.remedy
