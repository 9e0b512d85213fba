"""The path of a released program."""

from __future__ import annotations

from pathlib import Path

import pytest

from elt_env import released_tool
from elt_env.errors import InputError, IntegrityError, PolicyError, ToolError
from elt_env.lockfile.document import Lock
from elt_env.release.promote import promote
from elt_env.release.roll_back import roll_back
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import prepare, toolbox_at

pytestmark = pytest.mark.usefixtures("unsynced")

_A, _B = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_TARGET = _A.target


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    return toolbox_at(tmp_path)


def _release(lock: Lock, toolbox: Tools) -> None:
    prepare(lock, toolbox)
    promote(_TARGET, toolbox, print, trigger="a reason", by="a test")


def _prefix_of(path: Path, toolbox: Tools) -> str:
    [digest] = (
        lock.digest
        for lock in (_A, _B)
        if str(toolbox.store.prefix_path(lock)) in path.read_text(encoding="utf-8")
    )
    return digest


def test_the_path_stays_and_leads_to_what_is_released(toolbox: Tools) -> None:
    root = toolbox.project.root
    _release(_A, toolbox)
    path = released_tool("tool", _TARGET.name, root)
    assert path.is_absolute()
    assert _prefix_of(path, toolbox) == _A.digest
    _release(_B, toolbox)
    assert released_tool("tool", project=root) == path
    assert _prefix_of(path, toolbox) == _B.digest
    roll_back(_TARGET, toolbox, print, trigger="it was bad", by="a test")
    assert released_tool("tool", _TARGET.environment, root) == path
    assert _prefix_of(path, toolbox) == _A.digest


def test_no_other_program_of_the_name_is_taken(
    toolbox: Tools, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other" / "dbt"
    other.parent.mkdir()
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    with pytest.raises(ToolError, match=r"Nothing of .* is released"):
        released_tool("dbt", project=toolbox.project.root)
    _release(_A, toolbox)
    with pytest.raises(ToolError, match="has no program 'dbt'"):
        released_tool("dbt", project=toolbox.project.root)


@pytest.mark.parametrize("name", ["", "..", "../dbt", "/usr/bin/dbt", "bin/dbt"])
def test_a_path_is_no_program(toolbox: Tools, name: str) -> None:
    with pytest.raises(InputError, match="not the name of a program"):
        released_tool(name, project=toolbox.project.root)


def test_an_environment_that_is_not_there_is_named(toolbox: Tools) -> None:
    with pytest.raises(PolicyError, match="no environment 'nope'"):
        released_tool("dbt", "nope@3.11", toolbox.project.root)


def test_entry_points_that_were_set_to_an_older_release_are_not_used(toolbox: Tools) -> None:
    for each in (_A, _B):
        _release(each, toolbox)
    pointer = released_tool("tool", project=toolbox.project.root).parents[1]
    older = min((pointer.parent / pointer.readlink()).parent.iterdir())
    pointer.unlink()
    pointer.symlink_to(older)
    with pytest.raises(IntegrityError):
        released_tool("tool", project=toolbox.project.root)
