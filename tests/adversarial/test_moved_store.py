"""A store that was moved or copied: its prefixes are absent there, and everybody says so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from elt_env.cli.targets import prefix_to_use
from elt_env.environment.build import ensure_prefix, require_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import InputError, ToolError
from elt_env.lockfile.document import Lock
from elt_env.proof.checks.inputs import check_inputs
from elt_env.proof.proof import examine
from elt_env.release.promote import promote
from elt_env.release.store import ReleaseStore
from elt_env.report.show import show
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import keep_current, prepare, pretend_built, pretend_proven, toolbox_at
from tests.support.said import Said
from tests.support.sample import Sample, run_in, silent

_LOCK = lock_of(python_package(), pip_package("alpha", "1.0"))
_NAME = _LOCK.target.name


def released_at(root: Path) -> Tools:
    toolbox = toolbox_at(root)
    prepare(_LOCK, toolbox)
    promote(_LOCK.target, toolbox, silent, trigger="", by="a test")
    return toolbox


def start(toolbox: Tools) -> subprocess.CompletedProcess[str]:
    tool = ReleaseStore(toolbox.store).entry_points(_NAME) / "tool"
    return subprocess.run([tool], capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture(params=["moved", "copied"])
def elsewhere(request: pytest.FixtureRequest, tmp_path: Path) -> Tools:
    """The tools of a project with a release, which was moved or copied to where it is."""
    released_at(tmp_path / "old")
    if request.param == "moved":
        (tmp_path / "old").rename(tmp_path / "new")
    else:
        shutil.copytree(tmp_path / "old", tmp_path / "new", symlinks=True)
    return toolbox_at(tmp_path / "new")


def test_a_prefix_elsewhere_is_absent(elsewhere: Tools, tmp_path: Path) -> None:
    prefix = Prefix(elsewhere.store.prefix_path(_LOCK), _LOCK)
    assert not prefix.ready
    assert prefix.made_for is not None
    assert Path(prefix.made_for).is_relative_to(tmp_path / "old")
    with pytest.raises(ToolError, match="was built at"):
        require_prefix(_LOCK, elsewhere.store, "check")


def test_show_run_and_launchers_say_what_happened_and_what_mends_it(
    elsewhere: Tools, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = show(_LOCK.target, elsewhere.store).to_text()
    assert "moved or copied from" in text
    assert f"elt-env build {_NAME}" in text

    monkeypatch.chdir(elsewhere.project.root)
    with pytest.raises(InputError, match="its store was moved or copied") as raised:
        prefix_to_use(_NAME)
    assert "Build it again" in raised.value.remedy

    done = start(elsewhere)
    assert done.returncode == 127
    assert "the store was moved or copied" in done.stderr
    assert f"elt-env build {_NAME}" in done.stderr


def test_built_again_it_works_where_it_is(elsewhere: Tools, tmp_path: Path) -> None:
    pretend_built(_LOCK, elsewhere)
    pretend_proven(_LOCK, elsewhere)
    moved = promote(_LOCK.target, elsewhere, silent, trigger="", by="a test")
    assert moved.kept
    done = start(elsewhere)
    assert (done.returncode, done.stderr) == (0, "")
    assert str(tmp_path / "new") in done.stdout


def test_a_link_at_the_old_place_makes_it_right(tmp_path: Path) -> None:
    released_at(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    (tmp_path / "old").symlink_to(tmp_path / "new")
    toolbox = toolbox_at(tmp_path / "new")
    assert Prefix(toolbox.store.prefix_path(_LOCK), _LOCK).ready
    assert start(toolbox).returncode == 0


def test_a_launcher_may_be_linked_and_copied(tmp_path: Path) -> None:
    toolbox = released_at(tmp_path / "store")
    tool = ReleaseStore(toolbox.store).entry_points(_NAME) / "tool"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/linked").symlink_to(tool)
    shutil.copy(tool, tmp_path / "bin/copied")
    for name in ("linked", "copied"):
        done = subprocess.run(
            [tmp_path / "bin" / name], capture_output=True, timeout=20, check=True
        )
        assert done.stderr == b""


def test_evidence_of_another_place_says_nothing_of_this_one(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    old = sample.toolbox(tmp_path / "old")
    keep_current(sample_lock, old)
    ensure_prefix(sample_lock, old, silent)
    pretend_proven(sample_lock, old)
    before = check_inputs("imports", sample_lock, old.project, old.store)
    # At one place the same is built again, and what was seen of it still holds.
    shutil.rmtree(old.store.prefix_path(sample_lock))
    ensure_prefix(sample_lock, old, silent)
    assert check_inputs("imports", sample_lock, old.project, old.store) == before
    assert examine(sample_lock, old.project, old.store).lacks == ()

    (tmp_path / "old").rename(tmp_path / "new")
    new = sample.toolbox(tmp_path / "new")
    said = Said()
    ensure_prefix(sample_lock, new, said)
    assert any("was moved or copied from" in line for line in said)
    assert run_in(new.store.prefix_path(sample_lock), "alpha").returncode == 0
    lacks = examine(sample_lock, new.project, new.store).lacks
    assert {each.check for each in lacks} == set(
        examine(sample_lock, new.project, new.store).required
    )
