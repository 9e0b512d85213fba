"""Programs of a release on PATH."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elt_env.cli import main
from elt_env.release.promote import promote
from elt_env.release.store import ReleaseStore
from elt_env.tools import Tools
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import keep_current, pretend_built, pretend_proven, toolbox_at
from tests.support.sample import silent

_OLD, _NEW = (lock_of(python_package(), pip_package("alpha", f"1.{n}")) for n in range(2))
_NAME = _OLD.target.name


@pytest.fixture
def toolbox(tmp_path: Path) -> Tools:
    """A project in which the old lock is released, with the programs `tool` and `more`."""
    toolbox = toolbox_at(tmp_path / "project")
    _release(toolbox, 0)
    return toolbox


def _release(toolbox: Tools, number: int) -> None:
    lock = (_OLD, _NEW)[number]
    keep_current(lock, toolbox)
    pretend_built(lock, toolbox, "tool", "more")
    pretend_proven(lock, toolbox)
    promote(_OLD.target, toolbox, silent, trigger="", by="")


def _type(toolbox: Tools, *arguments: str, path: str = os.defpath) -> Result:
    """Run `elt-env expose` as a person whose home is beside the project."""
    root = toolbox.project.root
    own = {"ELT_ENV_PROJECT": str(root), "HOME": str(root.parent / "person"), "PATH": path}
    return CliRunner().invoke(main, ["expose", _NAME, *arguments], env=own, prog_name="elt-env")


def _ok(done: Result) -> str:
    assert done.exit_code == 0, done.stderr
    return done.stderr


def _runs(link: Path) -> str:
    done = subprocess.run([link], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def _state(path: Path) -> tuple[int, ...]:
    """Return what tells whether somebody made or changed a file; to read it changes nothing."""
    found = path.lstat()
    return found.st_ino, found.st_mode, found.st_size, found.st_mtime_ns


def test_a_link_follows_the_release(toolbox: Tools, tmp_path: Path) -> None:
    link = tmp_path / "person/.local/bin/tool"
    done = _type(toolbox, "tool")
    assert done.stdout == f"{link}\n", done.stderr
    assert 'is not on PATH; a shell finds nothing there before it is: export PATH="' in done.stderr
    assert _runs(link) == f"{toolbox.store.prefix_path(_OLD)}/bin/tool"
    _release(toolbox, 1)
    assert _runs(link) == f"{toolbox.store.prefix_path(_NEW)}/bin/tool"


def test_again_it_changes_nothing_and_is_taken_away_once(toolbox: Tools, tmp_path: Path) -> None:
    place = tmp_path / "bin"
    _ok(_type(toolbox, "tool", "--to", str(place)))
    before = _state(place / "tool")
    said = _ok(_type(toolbox, "tool", "--to", str(place), path=f"{place}:{os.defpath}"))
    assert "is there already" in said
    assert "PATH" not in said
    assert _state(place / "tool") == before
    (place / "other").write_text("a person's own")
    assert _type(toolbox, "--remove", "--to", str(place)).stdout == f"{place / 'tool'}\n"
    assert [*place.iterdir()] == [place / "other"]
    assert _type(toolbox, "--remove", "--to", str(place)).stdout == ""
    _ok(_type(toolbox, "tool", "--remove", "--to", str(place)))
    _ok(_type(toolbox, "--remove", "--to", str(tmp_path / "none")))


@pytest.mark.parametrize("kind", ["file", "link", "dangling", "directory", "other store"])
@pytest.mark.parametrize("more", [(), ("--remove",)])
def test_what_somebody_else_made_stays(
    toolbox: Tools, tmp_path: Path, kind: str, more: tuple[str, ...]
) -> None:
    place = tmp_path / "bin"
    tool = place / "tool"
    place.mkdir()
    if kind == "file":
        tool.write_text("mine")
    elif kind == "directory":
        tool.mkdir()
    else:
        ends = {
            "link": "/bin/sh",
            "dangling": "gone",
            "other store": f"/x/current/{_NAME}/bin/tool",
        }
        tool.symlink_to(ends[kind])
    before = _state(tool)
    done = _type(toolbox, "more", "tool", "--to", str(place), *more)
    assert done.exit_code == 2, done.stderr
    assert f"leaves it as it is: {tool}" in done.stderr
    assert "-> Remove it yourself, or name another directory: --to DIR" in done.stderr
    assert _state(tool) == before
    assert [*place.iterdir()] == [tool]


def test_a_link_of_another_target_of_the_store_is_replaced(toolbox: Tools, tmp_path: Path) -> None:
    releases = ReleaseStore(toolbox.store)
    link = tmp_path / "bin/tool"
    link.parent.mkdir()
    link.symlink_to(releases.entry_points("elt@3.12") / "tool")
    _ok(_type(toolbox, "tool", "--to", str(link.parent)))
    assert link.readlink() == releases.entry_points(_NAME) / "tool"
    assert [*link.parent.iterdir()] == [link]


def test_a_program_that_comes_first_is_named(toolbox: Tools, tmp_path: Path) -> None:
    first, place = tmp_path / "first", tmp_path / "bin"
    first.mkdir()
    (first / "tool").write_text("#!/bin/sh\n")
    (first / "tool").chmod(0o755)
    said = _ok(_type(toolbox, "tool", "--to", str(place), path=f"{first}:{place}"))
    assert f"{first / 'tool'} comes before {place / 'tool'} on PATH" in said


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "No program of"),
        (("tool", "missing"), 9, "has no program 'missing'"),
        (("../tool",), 2, "is not the name of a program"),
    ],
)
def test_what_cannot_be_exposed(
    toolbox: Tools, tmp_path: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    place = tmp_path / "bin"
    done = _type(toolbox, *arguments, "--to", str(place))
    assert done.exit_code == code
    assert said in done.stderr
    assert not place.exists()


def test_before_the_first_release(tmp_path: Path) -> None:
    done = _type(toolbox_at(tmp_path / "project"), "tool", "--to", str(tmp_path))
    assert done.exit_code == 9
    assert f"Build it: elt-env build {_NAME}" in done.stderr
