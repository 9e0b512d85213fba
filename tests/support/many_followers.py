"""Many followers of one bucket: requests, bytes and time until all have moved.

Used as `python -m tests.support.many_followers --followers 1000`. The bucket is a real S3 server on
this machine, and a proxy before it counts. Each follower has a store of its own and does all that
`elt-env follow` does, but for building and proving: its prefixes are there, and as many followers
as `--at-once` are at work at one moment. Bytes are those of bodies. The lock has 200 packages.
"""

from __future__ import annotations

import argparse
import hashlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pytest

from elt_env.follow.as_prefix import AsPrefix
from elt_env.follow.follow import follow
from elt_env.follow.machine import Machine
from elt_env.follow.reports import read_reports
from elt_env.lockfile.document import Lock, Package
from elt_env.release.promote import promote
from elt_env.store.bucket import BucketDocuments
from elt_env.store.locks import Store
from elt_env.tools import Tools
from tests.support.isolation import clear_settings
from tests.support.locks import lock_of, pip_package, python_package
from tests.support.proving import prepare, pretend_built, toolbox_at
from tests.support.registry_proxy import FaultProxy
from tests.support.s3_server import S3Server, new_prefix, s3_server
from tests.support.sample import silent

_PACKAGES = 200
_AT_ONCE = 8


@dataclass(frozen=True)
class Counted:
    """What one round of all followers took.

    Attributes:
        seconds: until the last one was done.
        moved: how many moved.
        requests: of all of them.
        received, sent: bytes of bodies that the bucket got, and gave.
    """

    what: str
    seconds: float
    moved: int
    requests: int
    received: int
    sent: int


@dataclass(frozen=True)
class Crowd:
    """Followers, what they follow, and what counts between.

    Attributes:
        source: where releases are made, with the bucket as its store.
    """

    source: Tools
    machines: Sequence[Machine]
    proxy: FaultProxy
    at_once: int

    def release(self, lock: Lock) -> None:
        """Release a lock, whose prefix is there on all machines."""
        prepare(lock, self.source)
        promote(lock.target, self.source, silent, trigger="", by="")
        for each in self.machines:
            pretend_built(lock, replace(self.source, store=each.own))

    def count(self, what: str) -> Counted:
        """Let each follower look once."""
        self.proxy.asked.clear()
        received, sent, start = self.proxy.received, self.proxy.sent, time.monotonic()
        once = partial(follow, say=silent, form=AsPrefix("none"))
        with ThreadPoolExecutor(self.at_once) as pool:
            moved = sum(each.moved for each in pool.map(once, self.machines))
        seconds, requests = time.monotonic() - start, len(self.proxy.asked)
        received, sent = self.proxy.received - received, self.proxy.sent - sent
        return Counted(what, seconds, moved, requests, received, sent)


def large_lock(version: str) -> Lock:
    """Return a lock as large as that of a real environment, which another version makes another."""
    packages = [_package(f"package-{number}") for number in range(_PACKAGES - 2)]
    return lock_of(python_package(), pip_package("alpha", version), *packages)


def _package(name: str) -> Package:
    return pip_package(name, "1.0", sha256=hashlib.sha256(name.encode()).hexdigest())


@contextmanager
def crowd(root: Path, s3: S3Server, followers: int, at_once: int = _AT_ONCE) -> Iterator[Crowd]:
    """Yield followers that run nothing yet."""
    prefix, tools = new_prefix(), toolbox_at(root / "project")
    with FaultProxy(s3.host) as proxy:
        counted = BucketDocuments(s3.bucket(prefix, proxy.host), f"s3://elt/{prefix}")
        direct = BucketDocuments(s3.bucket(prefix), f"s3://elt/{prefix}")
        bucket = Store(root / "nothing", documents=counted)
        machines = [
            Machine(
                large_lock("1.0").target,
                bucket,
                replace(tools, store=Store(root / "machines" / str(number))),
                hashlib.sha256(str(number).encode()).hexdigest()[:16],
            )
            for number in range(followers)
        ]
        source = replace(tools, store=Store(root / "builder", documents=direct))
        yield Crowd(source, machines, proxy, at_once)


def rounds(all_of_them: Crowd) -> Iterator[Counted]:
    """Yield what the first release, a look at nothing new, and the next release take."""
    all_of_them.release(large_lock("1.0"))
    yield all_of_them.count("first release")
    yield all_of_them.count("nothing is new")
    all_of_them.release(large_lock("1.1"))
    yield all_of_them.count("next release")
    start = time.monotonic()
    all_of_them.proxy.asked.clear()
    target = large_lock("1.0").target.name
    documents = all_of_them.machines[0].source.documents
    found = read_reports(target, documents)
    seconds, requests = time.monotonic() - start, len(all_of_them.proxy.asked)
    yield Counted("reading all reports", seconds, len(found), requests, 0, 0)


def main() -> int:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--followers", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=_AT_ONCE)
    options = parser.parse_args()
    with (
        pytest.MonkeyPatch.context() as patch,
        tempfile.TemporaryDirectory(prefix="elt-env-followers-") as name,
        s3_server(Path(name, "s3")) as s3,
        crowd(Path(name), s3, options.followers, options.at_once) as all_of_them,
    ):
        clear_settings(patch, keep_registry=False)
        for each in rounds(all_of_them):
            sys.stdout.write(
                f"{each.what}: {each.moved} of {options.followers} in {each.seconds:.1f} s, "
                f"{each.requests} requests, {each.sent} bytes given, {each.received} got\n"
            )
            sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
