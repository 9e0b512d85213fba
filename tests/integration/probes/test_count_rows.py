"""The program that counts what goes through a Singer tap or target."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from elt_env import probes
from elt_env.proof.singer_rows import SingerRows, parse_report

_PROGRAM = probes.DIRECTORY / "count_rows.py"
_TAP = """
import sys
print('{"type": "SCHEMA", "stream": "a", "schema": {}}')
for number in range(5):
    print('{"type": "RECORD", "stream": "a", "record": {"id": %d}}' % number, flush=True)
print('no message, though it says RECORD')
print('{"type": "RECORD", "stream": "b", "record": {}}')
print('told', file=sys.stderr)
sys.exit(int(sys.argv[1]))
"""
_TARGET = """
import sys
lines = [each for _, each in zip(range(int(sys.argv[1])), sys.stdin)]
print('METRIC: {"type": "counter", "metric": "record_count", "value": 2, "tags": {"stream": "a"}}',
      file=sys.stderr)
print('INFO METRIC: {"metric": "record_count", "value": 1, "tags": {"stream": "a"}}',
      'METRIC: nonsense', sep='\\n', file=sys.stderr)
print('METRIC: {"metric": "batch_time", "value": 9}', file=sys.stderr)
print(len(lines))
"""


def count(
    report: Path, kind: str, code: str, argument: str, given: str = ""
) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", code, argument]
    return subprocess.run(
        [sys.executable, _PROGRAM, report, kind, "name", *words],
        input=given,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def rows(report: Path) -> SingerRows:
    return parse_report(report.read_text())


@pytest.mark.parametrize("code", ["0", "3"])
def test_a_tap_passes_and_its_records_are_counted(tmp_path: Path, code: str) -> None:
    report = tmp_path / "rows"
    done = count(report, "extractor", _TAP, code)
    assert done.returncode == int(code)
    assert len(done.stdout.splitlines()) == 8
    assert done.stderr == "told\n"
    assert dict(rows(report).extracted) == {"a": 5, "b": 1}


def test_what_reaches_a_target_and_what_it_says_it_loaded_are_counted(tmp_path: Path) -> None:
    report = tmp_path / "rows"
    given = '{"type": "RECORD", "stream": "a", "record": {}}\n' * 4
    done = count(report, "loader", _TARGET, "9", given)
    assert (done.returncode, done.stdout) == (0, "4\n")
    assert "batch_time" in done.stderr
    found = rows(report)
    assert dict(found.received) == {"a": 4}
    assert found.loaded == {"a": 3}
    assert found.faults(mapped=False, wanted=None) == ["a: 4 rows received, 3 loaded"]


def test_a_target_that_ends_before_its_input_ends_the_same(tmp_path: Path) -> None:
    given = '{"type": "RECORD", "stream": "a", "record": {}}\n' * 20_000
    done = count(tmp_path / "rows", "loader", _TARGET, "1", given)
    assert (done.returncode, done.stdout) == (0, "1\n")


def test_a_program_that_a_signal_ends_has_failed(tmp_path: Path) -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert count(tmp_path / "rows", "extractor", code, "0").returncode == 137
