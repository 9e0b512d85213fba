"""Locks, archives and machines that no prefix can be built from."""

from __future__ import annotations

import dataclasses
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from elt_env.cli import main
from elt_env.environment.build import ensure_prefix, require_lock
from elt_env.environment.prefix import Prefix
from elt_env.errors import (
    EltEnvError,
    IndexUnreachableError,
    IntegrityError,
    NetworkError,
)
from elt_env.lockfile.document import Lock
from elt_env.package.platform import this_platform
from elt_env.store.locks import read_lock_directory
from elt_env.tools import Tools
from tests.support.channel import ChannelServer
from tests.support.loopback import corrupted, running
from tests.support.sample import Sample, silent


@pytest.fixture
def served(sample: Sample) -> Iterator[ChannelServer]:
    with running(ChannelServer(sample.channel.root)) as server:
        yield server


def refused(lock: Lock, toolbox: Tools) -> EltEnvError:
    """Return the error of a build; the prefix is not ready after it."""
    with pytest.raises(EltEnvError) as caught:
        ensure_prefix(lock, toolbox, silent)
    assert not Prefix(toolbox.store.prefix_path(lock), lock).ready
    return caught.value


@pytest.mark.parametrize("installer", ["uv", "pip"])
def test_a_wheel_with_another_hash(
    installer: str, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path, installer=installer)
    sample.index.fault = "corrupt-files"

    error = refused(sample_lock, toolbox)

    assert isinstance(error, IntegrityError)
    assert error.exit_code == 5
    assert re.search(r"Hash mismatch of .*(alpha|beta)", error.problem)
    assert "elt-env relock" in error.remedy
    sample.index.fault = None
    assert ensure_prefix(sample_lock, toolbox, silent).steps


def test_a_conda_package_with_another_hash_over_http(
    sample: Sample, served: ChannelServer, tmp_path: Path
) -> None:
    lock = sample.lock(conda=["tally"], channel_url=served.url)
    toolbox = sample.toolbox(tmp_path)
    served.fault = "corrupt-packages"

    error = refused(lock, toolbox)

    assert isinstance(error, IntegrityError)
    assert re.search(r"Hash mismatch of (tally|python)\S*\.conda", error.problem)
    assert "elt-env relock" in error.remedy
    served.fault = None
    assert ensure_prefix(lock, toolbox, silent).steps


def overwrite(archive: Path) -> None:
    data = corrupted(archive.read_bytes())
    archive.unlink()
    archive.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "words"), [(overwrite, "Hash mismatch"), (Path.unlink, "is gone")]
)
def test_a_conda_package_of_a_directory_that_changed(
    damage: Callable[[Path], object], words: str, sample: Sample, tmp_path: Path
) -> None:
    archive = sample.offer_conda("fragile", "1.0", {"fragile.py": ""})
    lock = sample.lock(conda=["fragile"])
    damage(archive)

    error = refused(lock, sample.toolbox(tmp_path))

    assert isinstance(error, IntegrityError)
    assert words in error.problem
    assert str(archive) in error.problem
    assert "elt-env relock" in error.remedy


def test_an_index_that_is_away(sample: Sample, sample_lock: Lock, tmp_path: Path) -> None:
    toolbox = sample.toolbox(tmp_path)
    away = "http://127.0.0.1:9/simple"
    packages = tuple(
        dataclasses.replace(each, url=f"{away}/{each.file_name}") if each.index else each
        for each in sample_lock.packages
    )
    lock = dataclasses.replace(sample_lock, packages=packages, indexes=(away,))

    error = refused(lock, toolbox)

    assert isinstance(error, IndexUnreachableError)
    assert error.retryable
    assert "http://127.0.0.1:9/simple" in error.problem


def test_a_channel_that_is_away(sample: Sample, served: ChannelServer, tmp_path: Path) -> None:
    lock = sample.lock(conda=["tally"], channel_url=served.url)
    served.fault = "500"

    error = refused(lock, sample.toolbox(tmp_path))

    assert isinstance(error, NetworkError)
    assert re.search(r"(tally|python)\S*\.conda", error.problem)


def test_a_lock_of_another_platform(sample: Sample, sample_lock: Lock, tmp_path: Path) -> None:
    target = dataclasses.replace(sample_lock.target, platform="osx-arm64")
    toolbox = sample.toolbox(tmp_path)

    error = refused(dataclasses.replace(sample_lock, target=target), toolbox)

    assert isinstance(error, IntegrityError)
    assert "osx-arm64" in error.problem
    assert this_platform() in error.problem
    assert not (toolbox.store.local_home / "prefixes").exists()


def test_a_lock_of_another_python(
    sample: Sample,
    sample_lock: Lock,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    toolbox = sample.toolbox(tmp_path)
    monkeypatch.setenv("ELT_ENV_PROJECT", str(tmp_path))

    with pytest.raises(SystemExit) as ended:
        main(["build", "elt@3.13", "--lock", str(sample.directory(sample_lock))])

    assert ended.value.code == IntegrityError.exit_code
    message = capsys.readouterr().err
    assert f"is a lock of {sample_lock.target}" in message
    assert "elt@3.13" in message
    assert not toolbox.store.local_home.exists()


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("lock.json", '"version": "1.0"', '"version": "1.1"'),
        ("lock.json", "{", ""),
        ("requirements.txt", "sha256:", "sha256:0"),
        ("pylock.toml", "alpha", "omega"),
        ("conda-linux-64.lock", "@EXPLICIT", ""),
    ],
)
def test_a_lock_that_was_edited_by_hand(  # noqa: PLR0917  # three of them are one sample
    file: str, old: str, new: str, sample: Sample, sample_lock: Lock, tmp_path: Path
) -> None:
    toolbox = sample.toolbox(tmp_path)
    directory = Path(toolbox.store.lock_directory(sample_lock.digest))
    shutil.copytree(sample.directory(sample_lock), directory)
    toolbox.store.set_current(sample_lock.target, sample_lock.digest, toolbox.store.now())
    assert require_lock(sample_lock.target, toolbox.store) == sample_lock
    edited = directory / file
    edited.write_text(edited.read_text().replace(old, new, 1))

    with pytest.raises(IntegrityError, match=re.escape(str(edited))):
        require_lock(sample_lock.target, toolbox.store)
    with pytest.raises(IntegrityError, match="relock"):
        read_lock_directory(directory, None)
