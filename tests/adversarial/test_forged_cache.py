"""What was changed in a cache, with the record beside it, never enters a prefix."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from uv import find_uv_bin

from elt_env.environment.build import ensure_prefix
from elt_env.environment.file_list import list_prefix
from elt_env.environment.prefix import Prefix
from elt_env.lockfile.document import Lock
from elt_env.machine.process import run
from elt_env.tools import Tools
from tests.support.said import Said
from tests.support.sample import Sample, run_in
from tests.support.wheels import make_sdist, make_wheel

_EVIL = b"raise SystemExit('evil')\n"


def replace(path: Path, content: bytes) -> None:
    """Put another file in the place of one, which others may share, with its mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    mode = path.stat().st_mode if path.exists() else 0o644
    path.unlink(missing_ok=True)
    path.write_bytes(content)
    path.chmod(mode)


class UnpackedWheel:
    """A wheel in uv's cache, to be changed together with its RECORD."""

    def __init__(self, cache: Path, name: str, number: int = 0) -> None:
        self.info = sorted(cache.glob(f"archive-v*/*/{name}-1.0.dist-info"))[number]
        self.root = self.info.parent
        self.record = self.info / "RECORD"

    @classmethod
    def all(cls, cache: Path, name: str) -> list[UnpackedWheel]:
        """Return every one of that name: uv unpacks a wheel for each way that it came."""
        count = len([*cache.glob(f"archive-v*/*/{name}-1.0.dist-info")])
        return [cls(cache, name, each) for each in range(count)]

    def forge(self, path: str, content: bytes = _EVIL, *, recorded: bool = True) -> None:
        replace(self.root / path, content)
        lines = [
            each for each in self.record.read_text().splitlines() if not each.startswith(f"{path},")
        ]
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if recorded:
            replace(
                self.record,
                "".join(f"{each}\n" for each in (f"{path},sha256={digest},", *lines)).encode(),
            )


def forge_conda(unpacked: Path, path: str) -> None:
    replace(unpacked / path, _EVIL)
    listed = json.loads((unpacked / "info/paths.json").read_text())
    for each in listed["paths"]:
        if each["_path"] == path:
            each.update(sha256=hashlib.sha256(_EVIL).hexdigest(), size_in_bytes=len(_EVIL))
    replace(unpacked / "info/paths.json", json.dumps(listed).encode())


@pytest.fixture(scope="module")
def lock(shared_sample: Sample) -> Lock:
    """A lock with a wheel for each of the ways to change one."""
    pip = ["alpha", "stray", "taken", "dropped", "led"]
    scripts = {"taken": "taken:main"}
    shared_sample.offer_pip("taken", {"taken.py": "def main(): ...\n"}, entry_points=scripts)
    shared_sample.offer_pip("led", {"led-1.0.data/scripts/lead": "#!python\nprint('led')\n"})
    shared_sample.offer_pip("stray")
    shared_sample.offer_pip("dropped")
    return shared_sample.lock(conda=["tally"], pip=pip)


@pytest.fixture
def cache(request: pytest.FixtureRequest) -> Path:
    """Where uv's cache is: beside the store, or on the disk of the fixture that is named."""
    place: Path = request.getfixturevalue(getattr(request, "param", "tmp_path"))
    return place / "uv"


@pytest.fixture
def built(
    shared_sample: Sample,
    lock: Lock,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Tools:
    """A project that has built the lock, and kept its caches alone.

    How a person lets uv link is not taken over: a prefix of links would change with the cache.
    """
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    monkeypatch.setenv("UV_LINK_MODE", "symlink")
    toolbox = shared_sample.toolbox(tmp_path / "project")
    build(lock, toolbox)
    return toolbox


def build(lock: Lock, toolbox: Tools) -> tuple[dict[str, str], list[str]]:
    """Build, and return what the prefix holds and what was said."""
    shutil.rmtree(toolbox.store.local_home / "prefixes", ignore_errors=True)
    said = Said()
    path = ensure_prefix(lock, toolbox, said).path
    return list_prefix(path).files, said


@pytest.fixture
def other_disk() -> Iterator[Path]:
    """A directory from which nothing can be linked or cloned, but only copied."""
    memory = Path("/dev/shm")  # noqa: S108  # the disk that every Linux has beside its own
    if not memory.is_dir():
        pytest.skip("this machine has no /dev/shm")
    with tempfile.TemporaryDirectory(dir=memory) as name:
        yield Path(name)


@pytest.mark.parametrize("cache", ["tmp_path", "other_disk"], indirect=True)
def test_uv_s_cache(lock: Lock, built: Tools, cache: Path) -> None:
    files, said = build(lock, built)
    assert not [each for each in said if "WARNING" in each or "again" in each]
    prefix = built.store.prefix_path(lock)
    assert not [each for each in prefix.rglob("*") if each.resolve().is_relative_to(cache)]
    UnpackedWheel(cache, "alpha").forge("alpha/__init__.py")
    UnpackedWheel(cache, "stray").forge("stray.pth", b"import stray\n", recorded=False)
    UnpackedWheel(cache, "taken").forge("taken-1.0.data/scripts/taken", b"#!python\n" + _EVIL)
    UnpackedWheel(cache, "led").forge(
        "led-1.0.data/scripts/lead", b"#!python\n" + _EVIL + b"print('led')\n"
    )
    dropped = UnpackedWheel(cache, "dropped")
    (dropped.root / "dropped/__init__.py").unlink()
    replace(dropped.record, b"".join(dropped.record.read_bytes().splitlines(keepends=True)[1:]))

    again, said = build(lock, built)

    assert again == files
    told = next(each for each in said if each.startswith("WARNING: uv's cache"))
    for name in ("alpha", "dropped", "led", "taken", "no package"):
        assert f" of {name}" in told
    assert run_in(Prefix(built.store.prefix_path(lock), lock).path, "lead").stdout == "led\n"


def test_what_uv_built_of_an_sdist(
    shared_sample: Sample, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(cache))
    shared_sample.index.add(make_sdist(tmp_path, "source", "1.0"))
    lock = shared_sample.lock(pip=["source"], allow_sdist=["source"])
    toolbox = shared_sample.toolbox(tmp_path / "project")
    [package] = lock.pip
    command = [find_uv_bin(), "pip", "install", "--no-deps", "--target", str(tmp_path / "by uv")]
    run([*command, "--index-url", shared_sample.index.url, "source==1.0"], limit=60)
    files, _ = build(lock, toolbox)
    evil = make_wheel(tmp_path, "source", "1.0", files={"evil.py": _EVIL}).read_bytes()
    built = [*cache.glob("sdists-v*/**/source-1.0*.whl")]
    assert built, "uv has built none"
    for wheel in built:
        replace(wheel, evil)
    for unpacked in UnpackedWheel.all(cache, "source"):
        unpacked.forge("source/__init__.py")

    again, said = build(lock, toolbox)
    assert again == files
    assert not any("building a wheel" in each for each in said)  # that of before is kept

    # What was built and is kept is damaged, and uv's cache is as forged as before.
    for wheel in (toolbox.store.local_home / "cache/wheels").glob("*/source-1.0-*.whl"):
        replace(wheel, evil)
    for unpacked in UnpackedWheel.all(cache, "source"):
        unpacked.forge("source/__init__.py")
    again, said = build(lock, toolbox)
    assert again == files
    assert any(f"building a wheel of {package.url}" in each for each in said)


def test_conda_s_cache(lock: Lock, built: Tools) -> None:
    files, _ = build(lock, built)
    pkgs = built.store.local_home / "cache/conda/pkgs"
    forge_conda(next(pkgs.glob("tally-1.0-0*/")), "site-packages/tally/__init__.py")
    link = next(each for each in pkgs.glob("python-3*/bin/python*") if each.is_symlink())
    link.unlink()
    link.symlink_to("/bin/sh")

    again, said = build(lock, built)

    assert again == files
    assert len([each for each in said if "is unpacked again" in each]) == 2


@pytest.mark.parametrize("cache", ["cache/wheels", "cache/conda/archives"])
def test_an_archive(cache: str, lock: Lock, built: Tools) -> None:
    files, _ = build(lock, built)
    kept = [each for each in (built.store.local_home / cache).glob("*/*") if each.is_file()]
    for each in kept:
        replace(each, _EVIL)
    again, _ = build(lock, built)
    assert again == files
    assert all(each.read_bytes() != _EVIL for each in kept)
