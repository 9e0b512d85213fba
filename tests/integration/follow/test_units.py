"""The units and the entry point in `deploy/follow`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.commands import REPOSITORY

_DEPLOY = REPOSITORY / "deploy" / "follow"
_LIMIT = 60.0


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not here")
def test_systemd_takes_the_units(tmp_path: Path) -> None:
    for path in [*_DEPLOY.glob("*.service"), *_DEPLOY.glob("*.timer")]:
        text = path.read_text().replace("/opt/elt-env/bin/elt-env", sys.executable)
        (tmp_path / path.name.replace("@", "@elt@3.11")).write_text(text)
    units = sorted(map(str, tmp_path.iterdir()))
    assert len(units) == 3
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units],
        capture_output=True,
        text=True,
        timeout=_LIMIT,
        check=False,
    )
    mine = [each for each in done.stderr.splitlines() if str(tmp_path) in each or "elt-env" in each]
    assert (done.returncode, mine) == (0, [])


def test_the_entry_point_follows_and_runs_a_command(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = tmp_path / "elt-env"
    program.write_text(f'#!/bin/sh\necho "$ELT_ENV_PROJECT $*" >> {told}\n[ "$6" != "" ] || true\n')
    program.chmod(0o755)
    variables = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "FOLLOW_FROM": "s3://bucket/prefix",
        "FOLLOW_DIRECTORY": "/volume",
    }
    subprocess.run(
        [_DEPLOY / "entrypoint.sh", "elt@3.11", "dagster", "--version"],
        env=variables,
        timeout=_LIMIT,
        check=True,
    )
    lines = told.read_text().splitlines()
    assert lines[0] == "/volume follow elt@3.11 --from s3://bucket/prefix"
    assert "/volume run elt@3.11 -- dagster --version" in lines
