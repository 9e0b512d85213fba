"""A lock's files in the hands of other tools: rattler, uv and pip make the same of them."""

from __future__ import annotations

import asyncio
import importlib.metadata
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import rattler
import uv
from rattler.explicit_environment import ExplicitEnvironmentSpec

from elt_env.environment.prefix import Prefix
from elt_env.lockfile.document import Lock
from elt_env.machine.process import clean_environment, run
from elt_env.runtime.files import sha256_of
from tests.support.sample import Sample

_LIMIT = 120.0


async def _link(archives: list[Path], prefix: Path, cache: Path) -> None:
    records = [await rattler.RepoDataRecord.from_package_archive(each) for each in archives]
    await rattler.install(records, prefix, cache_dir=cache, show_progress=False)
    await asyncio.sleep(0.2)


@pytest.fixture
def linked(sample: Sample, sample_lock: Lock, tmp_path: Path) -> Prefix:
    """A prefix that rattler made of conda-linux-64.lock, and of nothing else."""
    path = sample.directory(sample_lock) / "conda-linux-64.lock"
    lines = ExplicitEnvironmentSpec.from_path(path).packages
    archives = []
    for line in lines:
        url, _, digest = line.url.partition("#sha256:")
        archive = Path(unquote(urlsplit(url).path))
        assert sha256_of(archive) == digest
        archives.append(archive)
    assert len(archives) == len(sample_lock.conda)
    asyncio.run(_link(archives, tmp_path / "linked", tmp_path / "cache"))
    return Prefix(tmp_path / "linked", sample_lock)


@pytest.mark.parametrize(
    ("tool", "file"),
    [
        ("uv", "pylock.toml"),
        ("uv", "requirements.txt"),
        ("pip", "pylock.toml"),
        ("pip", "requirements.txt"),
    ],
)
def test_other_tools_install_what_is_locked(
    tool: str, file: str, linked: Prefix, sample: Sample, sample_lock: Lock
) -> None:
    python = str(linked.python)
    start = {
        "uv": [uv.find_uv_bin(), "pip", "install", "--python", python],
        "pip": [sys.executable, "-m", "pip", "--python", python, "install", "--no-deps"],
    }[tool]
    hashes = ["--require-hashes"] if file == "requirements.txt" else []
    place = sample.directory(sample_lock) / file

    done = run(
        [*start, "--index-url", sample.index.url, *hashes, "-r", place],
        limit=_LIMIT,
        env=clean_environment(),
        merge=True,
    )

    assert done.returncode == 0, done.stdout
    found = {each.name: each.version for each in linked.distributions()}
    assert found == sample_lock.distributions


def test_uv_makes_a_directory_hold_what_pylock_toml_lists(
    linked: Prefix, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    place = tmp_path / "synced"
    command = [uv.find_uv_bin(), "pip", "sync", "--python", str(linked.python)]
    lock = sample.directory(sample_lock) / "pylock.toml"

    done = run(
        [*command, "--target", str(place), "--index-url", sample.index.url, lock],
        limit=_LIMIT,
        env=clean_environment(),
        merge=True,
    )

    assert done.returncode == 0, done.stdout
    found = importlib.metadata.distributions(path=[str(place)])
    assert {each.name: each.version for each in found} == {
        each.name: each.version for each in sample_lock.pip
    }
