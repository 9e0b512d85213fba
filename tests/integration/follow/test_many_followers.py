"""What many followers ask of a bucket; more of them where there is time."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.many_followers import crowd, rounds
from tests.support.s3_server import S3Server

pytestmark = pytest.mark.xdist_group("s3")


@pytest.mark.parametrize("count", [10, pytest.param(200, marks=pytest.mark.slow)])
def test_what_each_asks(s3: S3Server, tmp_path: Path, count: int) -> None:
    with crowd(tmp_path, s3, count) as all_of_them:
        first, none, moved, reports = rounds(all_of_them)
    assert (first.moved, none.moved, moved.moved, reports.moved) == (count, 0, count, count)
    # The pointer; the lock's folder, its manifest; the report.
    assert first.requests == moved.requests == 4 * count
    # No body, but of the one that tells that the pointer is as it was.
    assert (none.requests, none.received) == (count, 0)
    assert none.sent < 300 * count
    assert moved.sent < 200_000 * count
    assert moved.received < 2_000 * count
