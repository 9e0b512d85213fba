"""A launcher runs in a fork as it runs alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from elt_env import probes

_DRIVER = """\
import json, os, runpy, subprocess, sys
forks = runpy.run_path(sys.argv[1])
with forks["dbt_forks"](sys.argv[2]) as program:
    done = [
        subprocess.run(
            [program, *json.loads(each)],
            cwd=sys.argv[3], env={**os.environ, "TOLD": "x" * 100_000},
            input="asked", capture_output=True, text=True, timeout=60, check=False,
        )
        for each in sys.argv[4:]
    ]
    again = subprocess.run(
        [program, "again"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, timeout=60, check=False,
    )
done = [[each.returncode, each.stdout, each.stderr] for each in done]
print(json.dumps([*done, [again.returncode, again.stdout]]))
"""


@pytest.mark.parametrize(
    ("ending", "code", "stderr"),
    [
        ("sys.exit(3)", 3, ""),
        ("sys.exit()", 0, ""),
        ("sys.exit('not so')", 1, "not so"),
        ("raise ValueError('broken')", 1, "ValueError: broken"),
        ("os.kill(os.getpid(), 9)", 247, ""),
    ],
)
def test_a_launcher_in_a_fork(tmp_path: Path, ending: str, code: int, stderr: str) -> None:
    launcher = tmp_path / "bin" / "dbt"
    launcher.parent.mkdir()
    launcher.write_text(
        "import json, os, sys\n"
        "seen = [sys.argv, os.getcwd(), len(os.environ.get('TOLD', '')), sys.stdin.read()]\n"
        f"print(json.dumps(seen), flush=True)\n{ending}\n",
        encoding="utf-8",
    )
    (tmp_path / "place").mkdir()
    arguments = [["build", "a b"], []]
    forks, place = probes.DIRECTORY / "dbt_forks.py", tmp_path / "place"
    done = subprocess.run(
        [sys.executable, "-c", _DRIVER, forks, launcher, place, *map(json.dumps, arguments)],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    *runs, (last, said) = json.loads(done.stdout)
    for asked, (returncode, stdout, error) in zip(arguments, runs, strict=True):
        assert json.loads(stdout) == [
            [str(launcher), *asked],
            str(tmp_path / "place"),
            100_000,
            "asked",
        ]
        assert returncode == code
        assert stderr in error
    assert not [*tmp_path.glob("elt-env-dbt-*")]
    assert last == code
    assert "again" in said
