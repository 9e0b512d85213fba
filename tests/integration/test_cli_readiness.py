"""`elt-env readiness`."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.channel import Channel
from tests.support.commands import make_site
from tests.support.conda_packages import make_conda_package
from tests.support.index_server import IndexServer
from tests.support.locking import LONG_AGO, Scene
from tests.support.wheels import make_wheel


def test_readiness_prints_the_chain_and_keeps_it(index: IndexServer, tmp_path: Path) -> None:
    channel = Channel(tmp_path / "channel")
    for version in ("3.11.5", "3.12.1"):
        make_conda_package(channel.root, "python", version, subdir="linux-64", timestamp=LONG_AGO)
    channel.index()
    wheels = tmp_path / "wheels"
    tag = "cp311-cp311-manylinux_2_17_x86_64"
    index.add(make_wheel(wheels, "low", "1.0", tag=tag), uploaded=LONG_AGO)
    index.add(make_wheel(wheels, "tool", "1.0", requires=["low"]), uploaded=LONG_AGO)
    toolbox = Scene(tmp_path, channel, index).toolbox(pip=["tool"])
    site = make_site(tmp_path, toolbox.project.root)

    done = site.elt_env("readiness", "elt", "--python", "3.12")
    assert done.returncode == 0, done.stderr
    assert "Python 3.12 (not in the policy): not ready since" in done.stdout
    assert "  missing wheel: tool → low\n    low has no wheel" in done.stdout
    assert "Nothing to add" in done.stdout

    listed = site.elt_env("readiness", "elt", "--python", "3.12", "--json")
    (record,) = json.loads(listed.stdout)
    assert (record["target"], record["verdict"]) == ("elt@3.12", "not ready")
    assert record["blocked_by"][0]["chain"] == ["tool", "low"]
