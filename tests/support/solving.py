"""A channel with a few packages, and what is asked of it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

from elt_env.conda import SolveRequest
from elt_env.lockfile.document import Package
from elt_env.spec.conda_spec import parse_conda_spec
from tests.support.channel import Channel
from tests.support.conda_packages import make_conda_distribution, make_conda_package

PLATFORM = "linux-64"
OLD = datetime(2024, 6, 1, tzinfo=timezone.utc)
YOUNG = datetime(2026, 6, 1, tzinfo=timezone.utc)


def make_small_channel(root: Path) -> Channel:
    """Return a channel with Pythons that hold nothing, two versions of `lib`, and its users."""
    channel = Channel(root)
    make_conda_package(root, "python", "3.11.5", subdir=PLATFORM, timestamp=OLD)
    make_conda_package(root, "python", "3.12.1", subdir=PLATFORM, timestamp=OLD)
    make_conda_distribution(root, "lib", "1.0", timestamp=OLD)
    make_conda_distribution(root, "lib", "2.0", timestamp=YOUNG)
    make_conda_distribution(root, "app", "1.0", depends=["python", "lib"], timestamp=OLD)
    make_conda_distribution(
        root, "python-dateutil", "2.9", package="pydateutil", timestamp=OLD, files={"d.py": "x=1"}
    )
    channel.index()
    return channel


def request(channel: str, *specs: str, **options: object) -> SolveRequest:
    """Return a request; `options` are the fields of SolveRequest."""
    wanted = tuple(parse_conda_spec(each) for each in specs)
    return SolveRequest((channel,), wanted, PLATFORM, **options)  # type: ignore[arg-type]


def versions(packages: tuple[Package, ...]) -> dict[str, str]:
    """Return the versions of packages by name."""
    return {each.name: each.version for each in packages}


def replace_archive(archive: Path, data: bytes) -> None:
    """Write other bytes in an archive's place; other channels may share the old ones."""
    archive.unlink()
    archive.write_bytes(data)
