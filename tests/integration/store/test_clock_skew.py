"""A machine whose clock is off, at a store that others use too; `faketime` tells it the time."""

from __future__ import annotations

import shutil
import subprocess
import sys

import pytest

from elt_env.store.bucket import BucketDocuments
from tests.support.commands import REPOSITORY
from tests.support.s3_server import S3Server, new_prefix

pytestmark = [
    pytest.mark.xdist_group("s3"),
    pytest.mark.skipif(shutil.which("faketime") is None, reason="needs faketime"),
]

_KEY = "targets/elt@3.11/lock.json"
_MOVE = """
import sys
from elt_env.errors import StorageError
from elt_env.store.bucket import BucketDocuments
from elt_env.store.bucket_client import open_bucket
documents = BucketDocuments(open_bucket(sys.argv[1]), sys.argv[1])
try:
    with documents.lease("releases/elt@3.11", 10, "moving it", "Wait."):
        for _ in range(20):
            before = documents.read("%s")
            assert documents.swap("%s", before, str(int(before) + 1).encode())
except StorageError as error:
    sys.exit(f"{error.exit_code} {error}")
"""


def _moved(s3: S3Server, url: str, clock: str) -> subprocess.Popen[str]:
    """Start a machine whose clock is off by so much, which moves a pointer twenty times."""
    return subprocess.Popen(
        ["faketime", "-f", clock, sys.executable, "-c", _MOVE % (_KEY, _KEY), url],
        env={**s3.variables(), "PYTHONPATH": str(REPOSITORY), "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_what_s3_takes_of_a_wrong_clock_moves_and_loses_nothing(s3: S3Server) -> None:
    prefix = new_prefix()
    documents = BucketDocuments(s3.bucket(prefix), f"s3://elt/{prefix}")
    documents.write(_KEY, b"0")
    movers = [_moved(s3, documents.url, clock) for clock in ("-10m", "+0", "+10m")]
    told = [each.communicate(timeout=120)[0] for each in movers]
    assert [each.returncode for each in movers] == [0, 0, 0], told
    assert documents.read(_KEY) == b"60"


@pytest.mark.parametrize("clock", ["-1h", "+1h"])
def test_what_s3_refuses_of_a_wrong_clock_says_so_and_changes_nothing(
    s3: S3Server, clock: str
) -> None:
    prefix = new_prefix()
    documents = BucketDocuments(s3.bucket(prefix), f"s3://elt/{prefix}")
    documents.write(_KEY, b"0")
    mover = _moved(s3, documents.url, clock)
    told, _ = mover.communicate(timeout=120)
    assert mover.returncode == 1
    assert told.startswith("6 The store refuses")
    assert "RequestTimeTooSkewed" in told
    assert "Set the clock of this machine" in told
    assert documents.read(_KEY) == b"0"
