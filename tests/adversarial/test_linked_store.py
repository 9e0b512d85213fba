"""A project and a store that links lead to: all ways mean one place, and are used by turns."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import cycle
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from elt_env.cli import main
from elt_env.environment.build import ensure_prefix
from elt_env.environment.prefix import Prefix
from elt_env.errors import PolicyError
from elt_env.lockfile.document import Lock
from elt_env.release.repair import repair
from elt_env.release.verify import verify
from elt_env.store.locks import Store
from tests.support.locks import CHANNEL, INDEX
from tests.support.project import make_project
from tests.support.sample import Sample, run_in, silent

_TARGET = "elt"
_CHECKS = ["pip_check", "mixed_managers"]


def _ways(root: Path) -> list[dict[str, str]]:
    """Return the variables of each way to `root/project` and its store."""
    (root / "link").symlink_to(root / "project")
    (root / "store link").symlink_to(root / "project/.elt_env")
    (root / "further").mkdir()
    (root / "further/link").symlink_to("../project")
    return [
        {},
        {"ELT_ENV_PROJECT": str(root / "link")},
        {"ELT_ENV_HOME": str(root / "store link")},
        {"ELT_ENV_HOME": "../further/link/../project/.elt_env"},
    ]


@pytest.mark.slow
def test_a_flow_by_turns(
    shared_sample: Sample, tmp_path: Path, tool_caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del tool_caches
    ways = cycle(_ways(tmp_path))

    def ask_for(*pip: str) -> None:
        make_project(
            tmp_path / "project",
            channels=[shared_sample.channel.url],
            index=shared_sample.index.url,
            conda=["tally"],
            pip=pip,
            policy={"cooldown": "0"},
            environment={"required-checks": _CHECKS, "promote": "manual"},
            pythons=[shared_sample.python],
        )

    def command(*arguments: str) -> Result:
        with monkeypatch.context() as patch:
            patch.chdir(tmp_path / "project")
            for name, value in next(ways).items():
                patch.setenv(name, value)
            result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, (arguments, result.output)
        return result

    def prove() -> None:
        checks = [part for each in _CHECKS for part in ("--check", each)]
        command("doctor", _TARGET, *checks, "--again")

    ask_for("beta")
    for each in (("lock", _TARGET), ("build", _TARGET, "--no-promote")):
        command(*each)
    prove()
    command("promote", _TARGET)
    ask_for("alpha")
    for each in (("lock", _TARGET), ("build", _TARGET, "--no-promote")):
        command(*each)
    prove()
    command("promote", _TARGET)
    for _ in range(2):
        assert "nothing" in command("build", _TARGET, "--no-promote").output
        for path in (tmp_path / "project/.elt_env/prefixes").glob("elt@*/bin/alpha"):
            path.unlink()
            path.write_text("#!/bin/sh\n")
        assert "bin/alpha" in command("verify", _TARGET, "--repair").output
        command("verify", _TARGET)
        prove()
        command("promote", _TARGET)
    for _ in range(3):
        command("rollback", _TARGET)
        command("verify", _TARGET)
    release = tmp_path / "project/.elt_env/current" / f"elt@{shared_sample.python}"
    place = str(tmp_path / "project/.elt_env")
    assert place in (release / "environment.sh").read_text()
    assert json.loads((release / "release.json").read_text())["number"] == 5


def test_a_link_that_leads_to_itself_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(PolicyError, match="is no directory"):
        make_project(
            tmp_path, channels=[CHANNEL], index=INDEX, policy={"home": str(tmp_path / "loop")}
        )


def test_a_prefix_that_was_built_by_a_link_is_mended_to_name_one_place(
    sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path / "project")
    toolbox.store.write_lock(sample_lock)
    (tmp_path / "a link").symlink_to(toolbox.store.local_home)
    by_link = replace(toolbox, store=Store(tmp_path / "a link"))
    ensure_prefix(sample_lock, by_link, silent)
    prefix = Prefix(toolbox.store.prefix_path(sample_lock), sample_lock)
    assert prefix.ready
    assert "a link" in (prefix.path / "bin/alpha").read_text()

    (prefix.path / "bin/tally").unlink()
    repair(sample_lock, verify(sample_lock, toolbox.store, silent), toolbox, silent)

    assert verify(sample_lock, toolbox.store, silent) == ()
    (tmp_path / "a link").unlink()
    assert prefix.ready
    for name in ("alpha", "tally"):
        assert str(prefix.path) in run_in(prefix.path, name).stdout
    named = [
        each
        for each in prefix.path.rglob("*")
        if each.is_file() and not each.is_symlink() and b"a link/" in each.read_bytes()
    ]
    assert named == []
